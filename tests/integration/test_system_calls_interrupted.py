"""The user speaks while a function runs, and over its result: embedded models, human speech."""

from typing import Any

import pytest
from system import System
from system_client import OUT_HZ, word_errors
from system_sdk import SdkTalk, open_microphone, sdk_talk
from whole_talk import (
    GET_TIME,
    INTERRUPTION,
    INTERRUPTION_WORDS,
    QUESTION,
    UNDERSTOOD,
    judge_heard,
)

from bench.turns.word_timer import WordTimer

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(240)]

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
FORCED: Any = {"type": "realtime", "tools": [GET_TIME], "tool_choice": "required"}
FREE: Any = {"type": "realtime", "tool_choice": "none"}
AT_LENGTH = "Explain in many sentences how rain is made."
SHORT_S = 4
"""An answer may be over before the words over it are known: the small model is brief by chance."""
MOST_TRIES = 4


async def call(talk: SdkTalk) -> str:
    """Ask aloud, and have the function called; return the call's id."""
    await talk.connection.session.update(session=FORCED)
    talk.say(QUESTION)
    called = await talk.event("response.function_call_arguments.done")
    response = (await talk.event("response.done")).response
    assert [item.type for item in response.output] == ["function_call"]
    await talk.connection.session.update(session=FREE)
    await talk.event("session.updated")
    return str(called.call_id)


def order(talk: SdkTalk) -> list[tuple[str, str | None]]:
    """Return type and role of the items, each of which came behind the one before it."""
    added = [event for event in talk.events if event.type == "conversation.item.added"]
    ids = [event.item.id for event in added]
    assert [event.previous_item_id for event in added] == [None, *ids[:-1]]
    return [(event.item.type, getattr(event.item, "role", None)) for event in added]


async def test_speech_while_a_function_runs_is_a_turn_of_its_own(embedded_system: System) -> None:
    async with sdk_talk(embedded_system.url) as talk, open_microphone(talk):
        await call(talk)
        since = len(talk.events)
        talk.say(INTERRUPTION)
        heard = (await talk.event(TRANSCRIBED)).transcript
        answer = (await talk.event("response.done")).response
        kinds = [event.type for event in talk.events[since:]]
    assert word_errors(INTERRUPTION_WORDS, heard) <= UNDERSTOOD, heard
    assert answer.status in ("completed", "incomplete")
    for kind in ("speech_started", "speech_stopped", "committed"):
        assert kinds.count(f"input_audio_buffer.{kind}") == 1
    assert "conversation.item.deleted" not in kinds
    user, called = ("message", "user"), ("function_call", None)
    assert order(talk) == [user, called, user, ("message", "assistant")]


@pytest.mark.thorough
async def test_speech_over_a_result_stops_it_and_the_words_heard_stay(
    embedded_system: System, word_timer: WordTimer
) -> None:
    for _ in range(MOST_TRIES):
        async with sdk_talk(embedded_system.url) as talk, open_microphone(talk):
            call_id = await call(talk)
            since = len(talk.events)
            await talk.give_output(call_id, "It is ten o'clock.", instructions=AT_LENGTH)
            cut = await talk.speak_over(INTERRUPTION)
            await talk.event(TRANSCRIBED)
            history = (await talk.retrieve(cut.item_id)).content[0].transcript
            over = talk.events[since:]
        ended_at = next(at for at, event in enumerate(over) if event.type == "response.done")
        stopped = over[ended_at].response
        if stopped.status == "cancelled":
            break
        assert len(cut.audio) < SHORT_S * OUT_HZ * 2, "it was long enough to be stopped"
    assert (stopped.status, stopped.status_details.reason) == ("cancelled", "turn_detected")
    assert stopped.output[0].id == cut.item_id
    late = [event for event in over[ended_at:] if event.type == "response.output_audio.delta"]
    assert cut.item_id not in {event.item_id for event in late}
    assert history == cut.kept
    judge_heard(cut, word_timer)
    assert order(talk)[1:4] == [
        ("function_call", None),
        ("function_call_output", None),
        ("message", "assistant"),
    ]
