"""Scenarios that show what of the Realtime API works; docs/compatibility.md is made of them.

Each goes over a real socket of a real gateway, or, where its decorator says so, through a session's
core. The decorator names the settings whose effect it asserts. With `--write-table` the document is
made anew.
"""

import base64
import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from conformance import TABLE, Evidence, render
from conformance_talk import RecordedClient, RecordedRig, recorded, user_text
from session_rig import PAUSE, SPEECH, answer, spoken_turn, turn_detection
from system import SIMULATED, System, running_system
from system_client import Microphone, open_microphone, silence, speech

from antiphon_proto.messages import Failed, Generate, Transcribe

pytestmark = pytest.mark.integration

MS_PER_CHARACTER = 65
REPLY = "This is a simulated reply. It has two sentences."
CITY = '{"city": "Oslo"}'
TOOL = {
    "type": "function",
    "name": "get_time",
    "description": "Tell the time",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LAMP = {"type": "function", "name": "set_lamp"}
SETTINGS = {
    **SIMULATED,
    "turn_taking.detector": "loudness",
    "simulated.reply": REPLY,
    "simulated.call_arguments": CITY,
}

Scenario = Callable[[RecordedClient], Awaitable[None]]
evidence = Evidence()
scenarios: set[str] = set()
seen: set[str] = set()


def shows(*effects: str, **opened: Any) -> Callable[[Scenario], Callable[..., Awaitable[None]]]:
    """Make a test of a scenario over a socket, which asserts the effects of these settings."""

    def make(scenario: Scenario) -> Callable[..., Awaitable[None]]:
        name = scenario.__name__.removeprefix("test_")
        scenarios.add(name)

        async def test(server: System) -> None:
            async with recorded(server.realtime_url, **opened) as client:
                await scenario(client)
                evidence.add(name, client.frames, effects, client.awaited)
            seen.add(name)

        return test

    return make


def shows_inside(*effects: str) -> Callable[[Callable[[RecordedRig], None]], Callable[[], None]]:
    """Make a test of a scenario through a session's core."""

    def make(scenario: Callable[[RecordedRig], None]) -> Callable[[], None]:
        name = scenario.__name__.removeprefix("test_")
        scenarios.add(name)

        def test() -> None:
            rig = RecordedRig()
            scenario(rig)
            evidence.add(name, rig.frames, effects)
            seen.add(name)

        return test

    return make


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system(SETTINGS) as running:
        yield running
        running.assert_no_traceback()


# --- turns -------------------------------------------------------------------------------------


@shows(
    "audio.input.turn_detection.type",
    "audio.input.turn_detection.silence_duration_ms",
    "audio.input.turn_detection.prefix_padding_ms",
)
async def test_a_spoken_turn_is_heard_and_answered(client: RecordedClient) -> None:
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
async def test_words_come_while_they_are_spoken(client: RecordedClient) -> None:
    async with open_microphone(Microphone(client)) as microphone:
        microphone.say(speech("dog_or_cat") + speech("turn_on_lamp") + speech("dog_or_cat"))
        delta = await client.event("conversation.item.input_audio_transcription.delta")
    assert delta["delta"].strip()


@shows("audio.input.turn_detection.create_response")
async def test_a_turn_is_not_answered_where_the_client_does_that(client: RecordedClient) -> None:
    await client.set_turns(create_response=False)
    await client.say()
    await client.event("conversation.item.input_audio_transcription.completed")
    await client.add(user_text("Hi."))
    assert client.of_type("response.created") == []
    await client.send("response.create")
    await client.done()


@shows("audio.input.turn_detection.interrupt_response")
async def test_speech_interrupts_where_it_may(client: RecordedClient) -> None:
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
async def test_the_client_ends_turns_by_itself(client: RecordedClient) -> None:
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


@shows_inside("truncation")
def test_a_conversation_may_not_be_cut_at_all(rig: RecordedRig) -> None:
    for truncation, enabled in (("disabled", False), ("auto", True)):
        rig.send(type="session.update", session={"truncation": truncation})
        rig.send(type="conversation.item.create", item=user_text("Hi."))
        rig.send(type="response.create")
        asked = rig.job(Generate).command
        assert isinstance(asked, Generate)
        assert asked.truncation.enabled is enabled
        answer(rig, "Yes.", clause_ms=100)
        rig.pass_time(2_000)


@shows_inside("audio.input.turn_detection.idle_timeout_ms")
def test_the_server_speaks_up_when_nobody_does(rig: RecordedRig) -> None:
    turn_detection(rig, {"type": "server_vad", "idle_timeout_ms": 5_000})
    rig.speak(SPEECH + "." * 20)
    rig.transcribe("What time is it?")
    rig.speak("." * 5)
    answer(rig, "It is noon.", clause_ms=500)
    rig.pass_time(10_000)
    rig.last("input_audio_buffer.timeout_triggered")


@shows_inside("audio.input.turn_detection.threshold")
def test_what_is_less_probable_than_the_threshold_is_no_speech(rig: RecordedRig) -> None:
    for threshold, speaks in ((0.95, False), (0.5, True)):
        turn_detection(rig, {"type": "server_vad", "threshold": threshold})
        rig.speak(SPEECH)
        started = "input_audio_buffer.speech_started" in [one["type"] for one in rig.events]
        assert started is speaks


@shows_inside("audio.input.turn_detection.eagerness")
def test_the_more_eager_waits_less(rig: RecordedRig) -> None:
    waited = []
    for eagerness in ("high", "medium", "low"):
        turn_detection(rig, {"type": "semantic_vad", "eagerness": eagerness})
        rig.speak(SPEECH)
        before = len(rig.turn_ends)
        windows = 0
        while len(rig.turn_ends) == before:
            rig.speak(".")
            windows += 1
        waited.append(windows)
        rig.transcribe("")
    assert waited[0] < waited[1] < waited[2]


# --- settings ----------------------------------------------------------------------------------


@shows(
    "audio.input.format.type",
    "audio.input.format.rate",
    "audio.output.format.type",
    "audio.output.format.rate",
)
async def test_audio_may_be_that_of_a_telephone(client: RecordedClient) -> None:
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
async def test_speech_is_faster_where_it_is_asked_for(client: RecordedClient) -> None:
    lengths = []
    for speed in (1.0, 1.25):
        await client.update(audio={"output": {"speed": speed}})
        client.audio.clear()
        await client.say_text("Hi.")
        await client.done()
        lengths.append(len(client.audio))
    assert abs(lengths[0] / lengths[1] - 1.25) < 0.02


@shows("output_modalities", "max_output_tokens")
async def test_answers_are_written_and_cut_where_that_is_asked_for(client: RecordedClient) -> None:
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
async def test_functions_are_called_and_their_outputs_read(client: RecordedClient) -> None:
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
async def test_every_setting_is_taken(client: RecordedClient) -> None:
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


@shows_inside(
    "instructions",
    "tools[].description",
    "tools[].parameters",
    "truncation.type",
    "truncation.retention_ratio",
    "truncation.token_limits.post_instructions",
    "audio.input.transcription.language",
    "audio.input.transcription.prompt",
)
def test_what_a_session_says_reaches_the_models(rig: RecordedRig) -> None:
    heard = {"model": "whisper-1", "language": "de", "prompt": "Oslo"}
    limits = {"token_limits": {"post_instructions": 500}}
    truncation = {"type": "retention_ratio", "retention_ratio": 0.8, **limits}
    rig.send(
        type="session.update",
        session={
            "instructions": "Be brief.",
            "truncation": truncation,
            "tools": [TOOL],
            "audio": {"input": {"transcription": heard}},
        },
    )
    rig.speak(SPEECH + PAUSE)
    assert rig.job(Transcribe).command == Transcribe(final=True, language="de", prompt="Oslo")
    rig.transcribe("Wie spät ist es?")
    asked = rig.job(Generate).command
    assert isinstance(asked, Generate)
    assert asked.messages[0].content == "Be brief."
    (function,) = asked.functions
    assert (function.description, function.parameters) == (TOOL["description"], TOOL["parameters"])
    assert (asked.truncation.retention_ratio, asked.truncation.conversation_tokens) == (0.8, 500)


# --- the conversation --------------------------------------------------------------------------


@shows()
async def test_items_of_every_kind_are_kept_found_and_removed(client: RecordedClient) -> None:
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
async def test_a_response_may_be_made_beside_the_conversation(client: RecordedClient) -> None:
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
async def test_a_response_is_cancelled(client: RecordedClient) -> None:
    await client.say_text("Speak.")
    await client.event("response.output_audio.delta")
    response_id = client.of_type("response.created")[0]["response"]["id"]
    await client.send("response.cancel", response_id=response_id)
    done = await client.done()
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    await client.send("response.cancel")
    assert (await client.error())["code"] == "response_cancel_not_active"


@shows_inside()
def test_what_fails_inside_is_told(rig: RecordedRig) -> None:
    spoken_turn(rig, "Hello.")
    broken = Failed(code="poison_job", message="x", retryable=False)
    rig.answer(rig.job(Generate), broken)
    failed = rig.last("response.done")["response"]
    assert failed["status_details"]["error"]["code"] == "poison_job"
    rig.speak(SPEECH + "." * 70)
    rig.answer(rig.job(Transcribe), broken)
    rig.last("conversation.item.input_audio_transcription.failed")


# --- other forms -------------------------------------------------------------------------------


@shows(headers={"OpenAI-Beta": "realtime=v1"})
async def test_clients_of_the_beta_form_are_understood(client: RecordedClient) -> None:
    await client.send("conversation.item.create", item=user_text("Hi."))
    await client.event("conversation.item.created")
    client.frames = [
        (who, event) for who, event in client.frames if "item.created" in event["type"]
    ]


@shows(extended=True)
async def test_our_own_client_gets_frames_and_timings(client: RecordedClient) -> None:
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


# --- the document ------------------------------------------------------------------------------


def test_the_document_is_what_the_scenarios_showed(request: pytest.FixtureRequest) -> None:
    assert seen == scenarios, "run all of this file: the document is made of all its scenarios"
    text = TABLE.read_text(encoding="utf-8")
    made = render(text, evidence)
    if request.config.getoption("--write-table"):
        TABLE.write_text(made, encoding="utf-8")
        text = made
    assert made == text, f"run: .venv/bin/python -m pytest {inspect.getfile(shows)} --write-table"
