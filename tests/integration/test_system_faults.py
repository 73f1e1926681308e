"""Workers are killed, frozen and missing while a turn runs: it ends as if nothing had happened."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from system import GATEWAY, SIMULATED, System, running_system
from system_client import Client, connected, speech

from antiphon_gateway.speech_text import speakable
from antiphon_workers.tts.simulated import tone

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(90)]

TRANSCRIPT = "this took a while to understand"
REPLY = (
    "The first sentence is short. The second sentence is somewhat longer than the first one was. "
    "And the third sentence ends it."
)
SLOW = {
    **SIMULATED,
    "simulated.transcript": TRANSCRIPT,
    "simulated.reply": REPLY,
    "simulated.stt_ms": 1_000,
    "simulated.llm_token_ms": 60,
    "simulated.tts_real_time_factor": 0.3,
    # All audio as soon as it is made, so that no test waits for the playing of it.
    "playout.unreported_lead_ms": 600_000,
}
MOST_JOBS = 24
TEXT = "response.output_text.delta"
SPOKEN = "response.output_audio_transcript.delta"
AUDIO = "response.output_audio.delta"
FENCED = 'antiphon_messages_dropped_total{reason="fenced",stage="tts"}'


@contextmanager
def slow_system(seconds: tuple[str, ...] = ()) -> Iterator[System]:
    """Run one worker a stage, then the workers named; the first jobs go to the first ones."""
    with running_system(SLOW) as server:
        server.start(*seconds)
        server.wait_for(lambda: set(seconds) <= set(connections(server)), 30)
        yield server
        server.assert_no_traceback()


def connections(server: System) -> list[str]:
    """Return the workers that the gateway connected to, one entry a connection."""
    events = server.events(GATEWAY)
    return [event["worker"] for event in events if event["event"] == "worker connected"]


def losses(server: System) -> list[tuple[str, int]]:
    """Return the workers that the gateway lost, each with the jobs it had to give to others."""
    events = server.events(GATEWAY)
    return [(e["worker"], e["reissued"]) for e in events if e["event"] == "worker lost"]


def expected_audio(client: Client) -> bytes:
    """Return every sample of the reply: the tone of each clause follows from its job's id."""
    session_id = client.events[0]["session"]["id"]
    heard, audio = bytes(client.audio), b""
    for clause in client.of_type(SPOKEN):
        text = speakable(clause["delta"])
        tones = (tone(f"{session_id}.{number}", text) for number in range(1, MOST_JOBS))
        audio += next((pcm for pcm in tones if heard.startswith(pcm, len(audio))), b"?")
    return audio


async def begin_spoken_turn(client: Client) -> None:
    """Say something by push-to-talk and ask for the answer; return while it is transcribed."""
    await client.push_to_talk()
    await client.append(speech("dog_or_cat"))
    await client.send("input_audio_buffer.commit")
    await client.event("input_audio_buffer.committed")
    await client.send("response.create")


async def begin_typed_turn(client: Client) -> None:
    await client.text_only()
    await client.say_text("Tell me about sentences.")


async def finish(client: Client) -> None:
    """Wait for the answer; fail unless every word came once, and every sample too."""
    response = await client.done()
    assert response["status"] == "completed", response
    assert client.transcripts == [TRANSCRIPT]
    assert client.reply_deltas == REPLY
    assert client.audio == expected_audio(client)


@pytest.mark.parametrize(
    ("stage", "midst"), [("stt", None), ("llm", SPOKEN), ("tts", AUDIO)], ids=["stt", "llm", "tts"]
)
async def test_a_turn_survives_its_only_worker_killed_and_started_again(
    stage: str, midst: str | None
) -> None:
    with slow_system() as server:
        async with connected(server.realtime_url) as client:
            await begin_spoken_turn(client)
            if midst:
                await client.event(midst)
            server.kill(f"{stage}-0")
            server.start(f"{stage}-0")
            await finish(client)
            assert losses(server) == [(f"{stage}-0", 1)]


async def test_a_turn_survives_the_death_of_one_of_two_workers_in_every_stage() -> None:
    with slow_system(("stt-1", "llm-1", "tts-1")) as server:
        async with connected(server.realtime_url) as client:
            await begin_spoken_turn(client)
            server.kill("stt-0")
            await client.event(SPOKEN)
            server.kill("llm-0")
            await client.event(AUDIO)
            server.kill("tts-0")
            await finish(client)
            assert losses(server) == [("stt-0", 1), ("llm-0", 1), ("tts-0", 1)]


async def test_an_answer_in_text_survives_two_deaths_of_the_model() -> None:
    with slow_system() as server:
        async with connected(server.realtime_url) as client:
            await begin_typed_turn(client)
            for _ in range(2):
                for _ in range(3):
                    await client.event(TEXT)
                server.kill("llm-0")
                server.start("llm-0")
            assert (await client.done())["status"] == "completed"
            assert client.reply_deltas == REPLY
            assert losses(server) == [("llm-0", 1), ("llm-0", 1)]


async def test_an_answer_that_kills_three_workers_fails_and_the_session_goes_on() -> None:
    with slow_system() as server:
        async with connected(server.realtime_url) as client:
            await begin_typed_turn(client)
            for _ in range(3):
                await client.event(TEXT)
                server.kill("llm-0")
                server.start("llm-0")
            response = await client.done()
            assert response["status"] == "failed"
            assert response["status_details"]["error"]["code"] == "poison_job"
            assert REPLY.startswith(client.reply_deltas)
            client.events.clear()
            await client.say_text("Again.")
            assert (await client.done())["status"] == "completed"
            assert client.reply_deltas == REPLY


async def test_a_frozen_worker_is_given_up_and_what_it_says_later_is_not_heard() -> None:
    with slow_system(("tts-1",)) as server:
        async with connected(server.realtime_url) as client:
            await begin_spoken_turn(client)
            await client.event(AUDIO)
            server.signal("tts-0", signal.SIGSTOP)
            await finish(client)
            before = len(connections(server))
            server.signal("tts-0", signal.SIGCONT)
            server.wait_for(lambda: len(connections(server)) > before, 10)
            server.wait_for(lambda: server.metric(FENCED) > 0, 10)
            client.events[1:], client.audio[:] = [], b""
            await client.say_text("Once more.")
            await client.done()
            assert client.reply_deltas == REPLY
            assert client.audio == expected_audio(client)


async def test_a_frozen_stage_is_reported_and_hinders_nobody_who_does_not_need_it() -> None:
    with slow_system() as server:
        async with (
            connected(server.realtime_url) as speaker,
            connected(server.realtime_url) as reader,
        ):
            await begin_spoken_turn(speaker)
            server.signal("stt-0", signal.SIGSTOP)
            await begin_typed_turn(reader)
            assert (await reader.done())["status"] == "completed"
            assert reader.reply_deltas == REPLY
            assert "stt-0 is gone: it fell silent" in server.wait_not_ready("stt")
            server.signal("stt-0", signal.SIGCONT)
            await finish(speaker)
            server.wait_ready()


@pytest.mark.parametrize(
    "stage",
    ["stt", *(pytest.param(stage, marks=pytest.mark.thorough) for stage in ("llm", "tts"))],
)
async def test_a_session_waits_for_a_stage_that_has_no_worker(stage: str) -> None:
    with slow_system() as server:
        async with connected(server.realtime_url) as client:
            server.kill(f"{stage}-0")
            assert f"{stage}-0 is gone" in server.wait_not_ready(stage)
            await begin_spoken_turn(client)
            await client.update(instructions="The session still answers.")
            assert client.of_type("response.done") == []
            server.start(f"{stage}-0")
            await finish(client)


async def test_workers_serve_a_gateway_that_was_killed_and_started_again() -> None:
    with slow_system() as server:
        async with connected(server.realtime_url) as client:
            await begin_spoken_turn(client)
            server.kill(GATEWAY)
            assert await client.close_code() == 1006
        server.start(GATEWAY)
        server.wait_ready()
        async with connected(server.realtime_url) as client:
            await begin_spoken_turn(client)
            await finish(client)


@pytest.mark.timeout(180)
async def test_the_embedded_models_lose_and_repeat_no_word_when_killed() -> None:
    """The reply is that of a run without faults, to the character and to the sample.

    So the model takes the likeliest token, and a clause, and what the voice is told of its
    neighbours, depend on the text alone: as installed they depend on how soon the text comes too.
    """
    alike = {"llm.temperature": 0, "tts.hurry": False, "tts.sentence_context": False}
    settings = {**alike, "llm.max_output_tokens": 40, "playout.unreported_lead_ms": 600_000}
    replies = []
    with running_system(settings, ready_within_s=90.0) as server:
        for killed in (False, True):
            async with connected(server.realtime_url) as client:
                await client.say_text("Tell me something about the sea.")
                await client.event(SPOKEN)
                if killed:
                    server.kill("llm-0")
                    server.start("llm-0")
                    await client.event(AUDIO)
                    server.kill("tts-0")
                    server.start("tts-0")
                response = await client.done(within_s=60)
                assert response["status"] == "completed", response
                replies.append((client.reply_deltas, bytes(client.audio)))
        assert sum(reissued for _, reissued in losses(server)) > 0
        server.assert_no_traceback()
    (text, audio), (text_again, audio_again) = replies
    assert text_again == text
    assert audio_again == audio, f"{len(audio_again)} bytes for {len(audio)}"
