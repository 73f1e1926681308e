"""The gateway is killed when words are waited for, a function is called, a button is held."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from resuming_client import Lost, ResumingClient, resuming_client
from system import GATEWAY, SIMULATED, System, system
from system_client import MIC_HZ, silence, speech
from talkative_system import ready_to_speak

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

PROGRAM = str(Path(__file__).parents[1] / "support" / "slow_ears.py")
TOOL = {"type": "function", "name": "get_time", "parameters": {"type": "object"}}
MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
SENTENCES = (
    "This is the first sentence. Here comes the second one. The third is like it. "
    "Now there are four of them. The fifth one is the last."
)


@contextlib.contextmanager
def server_with(settings: Mapping[str, object], *workers: str) -> Iterator[System]:
    with system({**SIMULATED, **settings}) as server:
        server.through = [sys.executable, PROGRAM, str(server.directory / "stopped")]
        server.start(GATEWAY, *workers)
        server.wait_for(lambda: ready_to_speak(server), 60.0)
        yield server
        server.assert_no_traceback()


async def killed_and_back(server: System, client: ResumingClient, *workers: str) -> None:
    """Kill the gateway, start it again, and some workers; have the session back."""
    await asyncio.to_thread(server.kill, GATEWAY)
    with contextlib.suppress(Lost):
        while True:
            await client.receive()
    await asyncio.to_thread(server.start, GATEWAY, *workers)
    await asyncio.to_thread(server.wait_for, lambda: ready_to_speak(server), 30.0)
    assert (await client.resume())["type"] == "antiphon.resumed"


def transcribed(server: System) -> bytes:
    """Return the longest audio that a transcriber got."""
    return (server.directory / "stopped.heard").read_bytes()


def words_of(client: ResumingClient) -> list[str]:
    kind = "conversation.item.input_audio_transcription.completed"
    return [event["transcript"] for event in client.of_type(kind)]


async def test_a_turn_that_waits_for_its_words_is_answered_after_a_restart() -> None:
    pcm = silence(1.0) + speech("turn_on_lamp") + silence(4.5)
    with server_with({}, "llm-0", "tts-0") as server:
        async with resuming_client(server.realtime_url) as client:
            await client.append(pcm)
            committed = await client.event("input_audio_buffer.committed")
            await killed_and_back(server, client, "stt-0")
            done = await client.event("response.done")
        assert done["response"]["status"] == "completed"
        (words,) = words_of(client)
        assert words == "this is a simulated transcript"
        assert len(client.of_type("input_audio_buffer.committed")) == 1
        assert len(client.of_type("response.created")) == 1
        added = [event["item"]["id"] for event in client.of_type("conversation.item.added")]
        assert added[0] == committed["item_id"]
        assert len(added) == len(set(added)) == 2
        heard = transcribed(server)
        assert len(heard) > MIC_HZ
        assert pcm.find(heard) >= 0, "samples of the turn are missing or changed"


@pytest.mark.parametrize(
    "committed",
    [False, pytest.param(True, marks=pytest.mark.thorough)],
    ids=["held", "committed"],
)
async def test_a_turn_of_push_to_talk_is_whole_after_a_restart(committed: bool) -> None:
    pcm = speech("would_you_please")
    middle = len(pcm) // 4 * 2
    with server_with({}, "llm-0", "tts-0") as server:
        async with resuming_client(server.realtime_url) as client:
            await client.send("session.update", session=MANUAL)
            await client.event("session.updated")
            await client.append(pcm[:middle])
            if committed:
                await client.append(pcm[middle:])
                await client.send("input_audio_buffer.commit")
                await client.event("input_audio_buffer.committed")
            else:
                await client.send("conversation.item.retrieve", item_id="item_none")
                while (await client.receive())["type"] != "error":
                    pass  # the audio before it was taken, then
            await killed_and_back(server, client, "stt-0")
            if not committed:
                await client.append(pcm[middle:])
                await client.send("input_audio_buffer.commit")
            await client.send("response.create")
            await client.event("response.done")
        assert words_of(client) == ["this is a simulated transcript"]
        assert len(client.of_type("input_audio_buffer.committed")) == 1
        assert transcribed(server) == pcm


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("response.created", marks=pytest.mark.thorough),
        "response.function_call_arguments.done",
        pytest.param("response.done", marks=pytest.mark.thorough),
    ],
)
async def test_a_function_is_called_once_though_the_gateway_is_killed(moment: str) -> None:
    settings = {"simulated.call_arguments": '{"city":"Oslo"}', "simulated.llm_first_token_ms": 400}
    with server_with(settings, "llm-0", "tts-0") as server:
        async with resuming_client(server.realtime_url) as client:
            await client.send("session.update", session={"type": "realtime", "tools": [TOOL]})
            await client.say_text("What time is it?")
            await client.event(moment)
            await killed_and_back(server, client)
            if not client.of_type("response.done"):
                await client.event("response.done")
            (done,) = client.of_type("response.done")
            (call,) = done["response"]["output"]
            assert (call["type"], call["name"]) == ("function_call", "get_time")
            assert [event["call_id"] for event in calls_told(client)] == [call["call_id"]]
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "10:00"}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            answered = await client.event("response.done")
        assert answered["response"]["status"] == "completed"
        (said,) = answered["response"]["output"]
        assert said["type"] == "message"


def calls_told(client: ResumingClient) -> list[dict[str, Any]]:
    return client.of_type("response.function_call_arguments.done")


async def test_the_real_voice_goes_on_with_the_samples_it_would_have_spoken() -> None:
    settings = {"tts.engine": "piper", "simulated.reply": SENTENCES}
    with server_with(settings, "llm-0", "tts-0") as server:
        spoken = []
        for cut in (False, True):
            async with resuming_client(server.realtime_url) as client:
                await client.say_text("Say a lot.")
                if cut:
                    for _ in range(6):
                        await client.event("audio")
                    await killed_and_back(server, client)
                    assert not client.of_type("response.done")
                await client.event("response.done")
                texts = client.of_type("response.output_audio_transcript.delta")
                spoken.append(([event["delta"] for event in texts], client.spoken(1)))
        uncut, again = spoken
        assert again[0] == uncut[0]
        assert len(again[1]) == len(uncut[1])
        assert again[1] == uncut[1], "the voice did not go on where it was"
