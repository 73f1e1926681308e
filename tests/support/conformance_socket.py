"""Scenarios of docs/compatibility.md that go over the socket of a server with simulated engines.

The decorator names the settings whose effect a scenario asserts.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from conformance_talk import RecordedClient, Scenario, user_text
from system_client import Microphone, open_microphone, silence, speech

REPLY = "This is a simulated reply. It has two sentences."
CITY = '{"city": "Oslo"}'
TOOL = {
    "type": "function",
    "name": "get_time",
    "description": "Tell the time",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LAMP = {"type": "function", "name": "set_lamp"}

Talk = Callable[[RecordedClient], Awaitable[None]]
SCENARIOS: list[Scenario[RecordedClient]] = []


def shows(*effects: str, **opened: Any) -> Callable[[Talk], Talk]:
    """Make a scenario of a talk; `opened` says how its session is opened."""

    def keep(talk: Talk) -> Talk:
        SCENARIOS.append(Scenario(talk.__name__, talk, effects, opened))
        return talk

    return keep


@shows(
    "audio.input.turn_detection.type",
    "audio.input.turn_detection.silence_duration_ms",
    "audio.input.turn_detection.prefix_padding_ms",
)
async def a_spoken_turn_is_heard_and_answered(client: RecordedClient) -> None:
    lengths = []
    for silence_ms, padding_ms in ((300, 0), (700, 0), (300, 200)):
        await client.set_turns(silence_duration_ms=silence_ms, prefix_padding_ms=padding_ms)
        await client.append(silence(1.0))
        stopped = await client.say()
        (*_, started) = client.of_type("input_audio_buffer.speech_started")
        lengths.append(stopped["audio_end_ms"] - started["audio_start_ms"])
        done = await client.done()
        assert done["status"] == "completed"
    assert abs(lengths[1] - lengths[0] - 400) <= 32
    assert abs(lengths[2] - lengths[0] - 200) <= 32
    assert len(client.transcripts) == 3


@shows()
async def words_come_while_they_are_spoken(client: RecordedClient) -> None:
    async with open_microphone(Microphone(client)) as microphone:
        microphone.say(speech("dog_or_cat") + speech("turn_on_lamp") + speech("dog_or_cat"))
        delta = await client.event("conversation.item.input_audio_transcription.delta")
    assert delta["delta"].strip()


@shows("audio.input.turn_detection.create_response")
async def a_turn_is_not_answered_where_the_client_does_that(client: RecordedClient) -> None:
    await client.set_turns(create_response=False)
    await client.say()
    await client.event("conversation.item.input_audio_transcription.completed")
    await client.add(user_text("Hi."))
    assert client.of_type("response.created") == []
    await client.send("response.create")
    await client.done()


@shows("audio.input.transcription")
async def words_are_kept_from_a_client_that_wants_none(client: RecordedClient) -> None:
    await client.update(audio={"input": {"transcription": None}})
    await client.set_turns()
    await client.say()
    assert (await client.done())["status"] == "completed"
    assert client.transcripts == []


@shows("audio.input.turn_detection.interrupt_response")
async def speech_interrupts_where_it_may(client: RecordedClient) -> None:
    await client.set_turns(interrupt_response=True)
    async with open_microphone(Microphone(client)) as microphone:
        await client.say_text("Speak.")
        await client.event("response.output_audio.delta")
        microphone.say(speech("turn_on_lamp") + speech("turn_on_lamp"))
        cut = await client.done()
        assert cut["status_details"]["reason"] == "turn_detected"
        item_id = cut["output"][0]["id"]
        await client.send(
            "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=200
        )
        await client.event("conversation.item.truncated")
        await client.send("conversation.item.retrieve", item_id=item_id)
        kept = (await client.event("conversation.item.retrieved"))["item"]["content"][0]
        assert REPLY.startswith(kept["transcript"])
        assert len(kept["transcript"]) < len(REPLY)
        await client.done()
        await client.set_turns(interrupt_response=False)
        await client.say_text("Speak.")
        await client.event("response.output_audio.delta")
        microphone.say(speech("turn_on_lamp") + speech("turn_on_lamp"))
        assert (await client.done())["status"] == "completed"


@shows("audio.input.turn_detection")
async def the_client_ends_turns_by_itself(client: RecordedClient) -> None:
    await client.push_to_talk()
    await client.append(speech("dog_or_cat") + silence(3.0))
    await client.send("input_audio_buffer.clear")
    await client.event("input_audio_buffer.cleared")
    assert client.of_type("input_audio_buffer.speech_started") == []
    await client.append(speech("dog_or_cat"))
    await client.send("input_audio_buffer.commit")
    await client.event("conversation.item.input_audio_transcription.completed")
    await client.send("input_audio_buffer.commit")
    assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
    await client.send("output_audio_buffer.clear")
    assert (await client.error())["code"] == "unsupported_event"
    await client.send("session.update", session={"max_output_tokens": 0})
    assert (await client.error())["param"] == "session.max_output_tokens"


@shows(
    "audio.input.format.type",
    "audio.input.format.rate",
    "audio.output.format.type",
    "audio.output.format.rate",
)
async def audio_may_be_that_of_a_telephone(client: RecordedClient) -> None:
    await client.say_text("Hi.")
    await client.done()
    pcm_bytes = len(client.audio)
    for law, quiet in (("audio/pcmu", 0xFF), ("audio/pcma", 0xD5)):
        form = {"type": law}
        detection = {"turn_detection": None, "format": form}
        await client.update(audio={"input": detection, "output": {"format": form}})
        audio = base64.b64encode(bytes([quiet]) * 16_000).decode()
        await client.send("input_audio_buffer.append", audio=audio)
        await client.send("input_audio_buffer.commit")
        heard = await client.event("conversation.item.input_audio_transcription.completed")
        assert abs(heard["usage"]["seconds"] - 2.0) < 0.01
        client.audio.clear()
        await client.send("response.create")
        await client.done()
        assert abs(len(client.audio) - pcm_bytes / 6) <= 8
    rate = {"type": "audio/pcm", "rate": 24_000}
    session = await client.update(audio={"input": {"format": rate}, "output": {"format": rate}})
    assert session["audio"]["input"]["format"] == rate


@shows("audio.output.speed")
async def speech_is_faster_where_it_is_asked_for(client: RecordedClient) -> None:
    lengths = []
    for speed in (1.0, 1.25):
        await client.update(audio={"output": {"speed": speed}})
        client.audio.clear()
        await client.say_text("Hi.")
        await client.done()
        lengths.append(len(client.audio))
    assert abs(lengths[0] / lengths[1] - 1.25) < 0.02


@shows("output_modalities", "max_output_tokens")
async def answers_are_written_and_cut_where_that_is_asked_for(client: RecordedClient) -> None:
    await client.update(output_modalities=["text"], max_output_tokens=2)
    await client.say_text("Hi.")
    done = await client.done()
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert client.reply_deltas == "This is"
    assert not client.audio


@shows(
    "tools[].type",
    "tools[].name",
    "tool_choice",
    "tool_choice.type",
    "tool_choice.name",
)
async def functions_are_called_and_their_outputs_read(client: RecordedClient) -> None:
    await client.update(tools=[TOOL, LAMP], tool_choice="required")
    await client.say_text("What time is it in Oslo?")
    called = await client.event("response.function_call_arguments.done")
    assert (called["name"], called["arguments"]) == ("get_time", CITY)
    await client.done()
    output = {"type": "function_call_output", "call_id": called["call_id"], "output": "10:00"}
    await client.add(output)
    await client.update(tool_choice="none")
    await client.send("response.create")
    await client.done()
    assert client.reply_deltas == REPLY
    await client.update(tool_choice={"type": "function", "name": "set_lamp"})
    await client.say_text("Light, please.")
    assert (await client.event("response.function_call_arguments.done"))["name"] == "set_lamp"
    await client.done()


@shows()
async def every_setting_is_taken(client: RecordedClient) -> None:
    session = await client.update(
        model="gpt-realtime",
        instructions="Be brief.",
        include=["item.input_audio_transcription.logprobs"],
        parallel_tool_calls=True,
        prompt={"id": "pmpt_1", "version": "1", "variables": {}},
        reasoning={"effort": "low"},
        tracing={"workflow_name": "x", "group_id": "y", "metadata": {}},
        truncation={
            "type": "retention_ratio",
            "retention_ratio": 0.8,
            "token_limits": {"post_instructions": 500},
        },
        audio={
            "input": {
                "noise_reduction": {"type": "near_field", "strength": 0.5},
                "transcription": {
                    "model": "whisper-1",
                    "language": "en",
                    "prompt": "Oslo",
                    "delay": "low",
                    "keywords": ["Oslo"],
                    "languages": ["en"],
                },
            },
            "output": {"voice": {"id": "alloy"}},
        },
    )
    assert session["truncation"]["token_limits"] == {"post_instructions": 500}
    await client.update(tracing="auto", truncation="disabled", audio={"output": {"voice": "ash"}})
    await client.update(tracing=None, prompt=None, include=None)


@shows()
async def items_of_every_kind_are_kept_found_and_removed(client: RecordedClient) -> None:
    kept = {"object": "realtime.item", "status": "completed"}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": "call"}
    output = {"type": "function_call_output", "call_id": "c", "output": "yes", "id": "output"}
    spoken = [{"type": "output_audio", "transcript": "Said."}]
    written = [{"type": "output_text", "text": "Written."}]
    audio = base64.b64encode(bytes(48 * 500)).decode()
    heard = [
        {"type": "input_audio", "audio": audio, "transcript": "Known."},
        {"type": "input_audio", "audio": audio},
    ]
    message = {"type": "message"} | kept
    await client.add(user_text("First.", id="first", **kept))
    await client.add(message | {"role": "assistant", "content": spoken, "id": "spoken"})
    await client.add(message | {"role": "assistant", "content": written}, previous_item_id="root")
    await client.add(message | {"role": "user", "content": heard, "id": "heard"})
    await client.event("conversation.item.input_audio_transcription.completed")
    await client.add(call | kept)
    await client.add(output | kept, previous_item_id="call")
    for item_id in ("first", "spoken", "heard", "call", "output"):
        await client.send("conversation.item.retrieve", item_id=item_id)
        item = (await client.event("conversation.item.retrieved"))["item"]
        assert item["id"] == item_id
    await client.send("conversation.item.delete", item_id="first")
    await client.event("conversation.item.deleted")
    await client.send("conversation.item.retrieve", item_id="first")
    assert (await client.error())["code"] == "item_not_found"


@shows()
async def a_response_may_be_made_beside_the_conversation(client: RecordedClient) -> None:
    await client.add(user_text("Kept.", id="kept"))
    audio = base64.b64encode(bytes(48 * 500)).decode()
    item = {"object": "realtime.item", "status": "completed"}
    mine = [
        user_text("Translate:", id="mine", **item),
        {"type": "item_reference", "id": "kept"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **item},
        {"type": "function_call_output", "call_id": "c", "output": "yes", **item},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_audio", "audio": audio, "transcript": "Known."},
                {"type": "input_audio", "audio": audio},
            ],
        },
    ]
    await client.send(
        "response.create",
        response={
            "conversation": "none",
            "input": mine,
            "instructions": "Be brief.",
            "output_modalities": ["audio"],
            "max_output_tokens": 100,
            "metadata": {"topic": "x"},
            "tools": [TOOL],
            "tool_choice": "none",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "ash"}},
        },
    )
    done = await client.done()
    assert (done["status"], done["metadata"]) == ("completed", {"topic": "x"})
    assert "conversation_id" not in done
    added = [event["item"]["id"] for event in client.of_type("conversation.item.added")]
    assert added == ["kept"]
    named = {"type": "function", "name": "get_time"}
    await client.send("response.create", response={"tools": [TOOL], "tool_choice": named})
    await client.event("response.function_call_arguments.done")
    await client.done()


@shows()
async def a_response_is_cancelled(client: RecordedClient) -> None:
    await client.say_text("Speak.")
    await client.event("response.output_audio.delta")
    response_id = client.of_type("response.created")[0]["response"]["id"]
    await client.send("response.cancel", response_id=response_id)
    done = await client.done()
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    await client.send("response.cancel")
    assert (await client.error())["code"] == "response_cancel_not_active"


@shows(headers={"OpenAI-Beta": "realtime=v1"})
async def clients_of_the_beta_form_are_understood(client: RecordedClient) -> None:
    await client.send("conversation.item.create", item=user_text("Hi."))
    await client.event("conversation.item.created")
    client.frames = [
        (who, event) for who, event in client.frames if "item.created" in event["type"]
    ]


@shows(extended=True)
async def our_own_client_gets_frames_and_timings(client: RecordedClient) -> None:
    await client.event("antiphon.session")
    await client.set_turns()
    async with open_microphone(Microphone(client)) as microphone:
        microphone.say(speech("dog_or_cat"))
        await client.event("antiphon.transcript.partial")
        item_id = (await client.event("antiphon.audio.started"))["item_id"]
        await client.send("antiphon.playout", item_id=item_id, played_ms=100, buffered_ms=0)
        await client.event("antiphon.turn.metrics")
        microphone.say(speech("turn_on_lamp"))
        await client.event("antiphon.duck")
        await client.send("antiphon.ack", seq=1)
        await client.event("antiphon.ack")
