"""The stock `openai` SDK holds conversations with the embedded models, only its address changed."""

import base64
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from system import System
from system_client import OUT_HZ, SPEECH, reply_errors, word_errors
from system_ears import Ears
from system_sdk import SdkTalk, open_microphone, recorded, sdk_talk
from whole_talk import GET_TIME, INTERRUPTION, QUESTION, STORY, UNDERSTOOD, Told, judge

from bench.turns.word_timer import WordTimer

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

README = Path(__file__).parents[2] / "README.md"
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
SHORT_ANSWERS: Any = {"type": "realtime", "max_output_tokens": 24}
INTELLIGIBLE = 0.34
"""Word errors between the text of a reply and what another listener hears of it."""


async def update(talk: SdkTalk, session: Any) -> Any:
    await talk.connection.session.update(session=session)
    return (await talk.event("session.updated")).session


async def say_text(talk: SdkTalk, text: str) -> None:
    await talk.connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    )


def text_of(response: Any) -> str:
    """Return the text of a response's only message."""
    [item] = response.output
    [part] = item.content
    return (part.transcript or part.text).strip()  # type: ignore[no-any-return]


async def spoken_turn(talk: SdkTalk, recording: str, said: str, ears: Ears) -> list[str]:
    """Say a recording, check transcript and reply; return the types of the turn's events."""
    talk.events.clear()
    talk.say(recording)
    transcript = (await talk.event(TRANSCRIBED)).transcript
    assert word_errors(said, transcript) <= UNDERSTOOD, transcript
    response = (await talk.event("response.done")).response
    assert response.status in ("completed", "incomplete")
    assert len(talk.audio) > OUT_HZ
    reply = text_of(response)
    heard = ears.hear(bytes(talk.audio), OUT_HZ)
    assert reply_errors(reply, heard) <= INTELLIGIBLE, f"{reply!r} was heard as {heard!r}"
    return talk.types()


async def test_a_spoken_conversation_of_two_turns(embedded_system: System, ears: Ears) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        await update(talk, SHORT_ANSWERS)
        async with open_microphone(talk):
            types = await spoken_turn(talk, "dog_or_cat", "should i get a dog or a cat", ears)
            partial = "conversation.item.input_audio_transcription.delta"
            assert [kind for kind in types if kind != partial][:3] == [
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                "input_audio_buffer.committed",
            ]
            assert {"response.output_audio.delta", "response.output_audio_transcript.delta"} <= set(
                types
            )
            await spoken_turn(talk, "swim_in_the_seine", "is it safe to swim in the seine", ears)


async def test_a_spoken_conversation_with_a_call_and_an_interruption(
    embedded_system: System, word_timer: WordTimer
) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        session: Any = {"type": "realtime", "tools": [GET_TIME], "tool_choice": "required"}
        await update(talk, session)
        async with open_microphone(talk):
            talk.say(QUESTION)
            call = await talk.event("response.function_call_arguments.done")
            await talk.event("response.done")
            await update(talk, {"type": "realtime", "tool_choice": "none"})
            await talk.give_output(call.call_id, "It is ten o'clock in the morning.")
            answer = (await talk.event("response.done")).response
            await say_text(talk, STORY)
            await talk.connection.response.create()
            cut = await talk.speak_over(INTERRUPTION)
            await talk.event(TRANSCRIBED)
            known = await talk.retrieve(answer.output[0].id)
            history = await talk.retrieve(cut.item_id)
    kinds = {event.type for event in talk.events}
    assert "response.output_audio_transcript.delta" in kinds
    judge(
        Told(
            transcripts=[e.transcript for e in talk.events if e.type == TRANSCRIBED],
            called=[json.loads(call.arguments)],
            cut=cut,
            history=history.content[0].transcript,
            answer=answer.output[0].content[0].transcript,
            answer_in_history=known.content[0].transcript,
        ),
        word_timer,
    )


async def test_words_come_while_the_user_speaks(embedded_system: System) -> None:
    """A busy server makes few partial transcripts, and tells a word when two of them agree on it.

    So the sentence is four seconds long, and without a pause.
    """
    async with sdk_talk(embedded_system.url) as talk:
        await update(talk, SHORT_ANSWERS)
        async with open_microphone(talk):
            talk.say("../peaceful_night")
            transcript = (await talk.event(TRANSCRIBED)).transcript
    said = "the most unusual thing i can think of would be a peaceful night"
    assert word_errors(said, transcript) <= UNDERSTOOD, transcript
    before_the_end = itertools.takewhile(
        lambda event: event.type != "input_audio_buffer.speech_stopped", talk.events
    )
    deltas = [e.delta for e in before_the_end if e.type.endswith("transcription.delta")]
    assert "".join(deltas).strip(), "no words came while the user spoke"
    assert transcript.split()[0] == "".join(deltas).split()[0]


async def test_push_to_talk(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        session: Any = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        assert (await update(talk, session)).audio.input.turn_detection is None
        await talk.append(recorded("turn_on_lamp"))
        await talk.connection.input_audio_buffer.commit()
        committed = await talk.event("input_audio_buffer.committed")
        await talk.connection.response.create(response={"max_output_tokens": 12})
        done = await talk.event(TRANSCRIBED)
        assert done.item_id == committed.item_id
        assert word_errors("turn on the living room lamp", done.transcript) <= UNDERSTOOD
        response = (await talk.event("response.done")).response
        assert response.status in ("completed", "incomplete")
        assert talk.audio
        assert "input_audio_buffer.speech_started" not in talk.types()


async def test_a_typed_turn_is_answered_in_text_or_aloud(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        await say_text(talk, "Say hello.")
        await talk.connection.response.create(
            response={"output_modalities": ["text"], "max_output_tokens": 16}
        )
        written = (await talk.event("response.done")).response
        deltas = "".join(e.delta for e in talk.events if e.type == "response.output_text.delta")
        assert deltas.strip() == text_of(written)
        assert written.usage.output_tokens > 0
        assert not talk.audio
        await say_text(talk, "And once more, aloud.")
        await talk.connection.response.create(response={"max_output_tokens": 16})
        spoken = (await talk.event("response.done")).response
        assert text_of(spoken)
        assert talk.audio


async def test_cancel_truncate_and_retrieve(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        await say_text(talk, STORY)
        await talk.connection.response.create()
        await talk.event("response.output_audio.delta")
        await talk.connection.response.cancel()
        response = (await talk.event("response.done")).response
        assert response.status == "cancelled"
        assert response.status_details.reason == "client_cancelled"
        [item] = response.output
        await talk.connection.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=0
        )
        assert (await talk.event("conversation.item.truncated")).audio_end_ms == 0
        await talk.connection.conversation.item.retrieve(item_id=item.id)
        kept = (await talk.event("conversation.item.retrieved")).item
        assert kept.id == item.id
        assert kept.content[0].transcript == ""


async def test_truncation_keeps_the_words_that_were_heard(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        await say_text(talk, STORY)
        await talk.connection.response.create(response={"max_output_tokens": 30})
        response = (await talk.event("response.done")).response
        [item] = response.output
        said = text_of(response)
        await talk.connection.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=len(talk.audio) // 2 * 500 // OUT_HZ
        )
        await talk.event("conversation.item.truncated")
        await talk.connection.conversation.item.retrieve(item_id=item.id)
        kept = (await talk.event("conversation.item.retrieved")).item.content[0].transcript.strip()
        assert said.startswith(kept)
        assert len(said) * 0.3 < len(kept) < len(said) * 0.7


async def test_a_function_result_is_accepted_and_answered(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        tool: Any = {"type": "function", "name": "get_time", "parameters": {"type": "object"}}
        session: Any = {"type": "realtime", "tools": [tool], "output_modalities": ["text"]}
        [declared] = (await update(talk, session)).tools
        assert declared.name == "get_time"
        await talk.connection.conversation.item.create(
            item={
                "type": "function_call",
                "call_id": "call_1",
                "name": "get_time",
                "arguments": "{}",
            }
        )
        await talk.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": "call_1", "output": "10:00"}
        )
        while (item := (await talk.event("conversation.item.done")).item).type == "function_call":
            pass
        assert (item.type, item.call_id, item.output) == ("function_call_output", "call_1", "10:00")
        await talk.connection.response.create(response={"max_output_tokens": 12})
        assert (await talk.event("response.done")).response.status in ("completed", "incomplete")


async def test_what_is_wrong_arrives_as_an_error_event_with_the_clients_id(
    embedded_system: System,
) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        await talk.connection.response.cancel(event_id="mine_1")
        with pytest.raises(AssertionError, match="response_cancel_not_active"):
            await talk.event("response.done")
        assert talk.events[-1].error.event_id == "mine_1"
        await talk.connection.input_audio_buffer.clear()
        await talk.event("input_audio_buffer.cleared")


def test_the_readme_example_runs_as_printed(
    embedded_system: System, ears: Ears, tmp_path: Path
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    [example] = [block for block in blocks if "AsyncOpenAI" in block]
    assert "localhost:8080" in example
    program, reply = tmp_path / "say.py", tmp_path / "reply.wav"
    program.write_text(example.replace("localhost:8080", f"localhost:{embedded_system.port}"))
    ran = subprocess.run(
        [sys.executable, "-W", "error", program, SPEECH / "dog_or_cat.wav", reply],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said, answered = ran.stdout.split("reply:", 1)
    assert word_errors("should i get a dog or a cat", said.split("you:", 1)[1]) <= UNDERSTOOD
    assert reply_errors(answered, ears.hear_file(reply)) <= INTELLIGIBLE


async def test_a_transcription_session_hears_and_does_not_answer(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url, intent="transcription") as talk:
        session = await update(
            talk,
            {"type": "transcription", "audio": {"input": {"transcription": {"prompt": "Time?"}}}},
        )
        assert session.type == "transcription"
        talk.events.clear()
        async with open_microphone(talk):
            talk.say("what_time_is_it")
            heard = (await talk.event(TRANSCRIBED)).transcript
            assert word_errors("what time is it", heard) <= UNDERSTOOD, heard
        assert not [name for name in talk.types() if name.startswith("response.")]


async def test_audio_in_an_item_is_heard_before_it_is_answered(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk:
        audio = base64.b64encode(recorded("what_time_is_it")).decode()
        await talk.connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "audio": audio}],
            }
        )
        await talk.connection.response.create(response={"max_output_tokens": 12})
        heard = (await talk.event(TRANSCRIBED)).transcript
        assert word_errors("what time is it", heard) <= UNDERSTOOD, heard
        response = (await talk.event("response.done")).response
        assert response.status in ("completed", "incomplete")
