"""A server that is behind pauses the microphone: nothing said meanwhile is lost."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from resuming_client import resuming_client
from system import GATEWAY, SIMULATED, System, system
from system_client import MIC_HZ, connected, silence

from antiphon.connection import Connection, connect
from antiphon.events import SpeechStopped, TranscriptCompleted

pytestmark = pytest.mark.integration

PROGRAM = str(Path(__file__).parents[1] / "support" / "slow_ears.py")
CHUNK_SAMPLES = MIC_HZ // 50


class SlowEars:
    """A server whose voice activity detector the test stops."""

    def __init__(self, server: System) -> None:
        self.server = server
        self._stopped = server.directory / "stopped"
        server.through = [sys.executable, PROGRAM, str(self._stopped)]
        server.start(GATEWAY, "stt-0", "llm-0", "tts-0")
        server.wait_ready()

    def stop(self) -> None:
        self._stopped.touch()

    def go_on(self) -> None:
        self._stopped.unlink(missing_ok=True)

    @property
    def transcribed(self) -> bytes:
        """The longest audio that the transcriber got."""
        return self._stopped.with_suffix(".heard").read_bytes()


@pytest.fixture
def ears() -> Iterator[SlowEars]:
    with system({**SIMULATED, "turn_taking.detector": "loudness"}) as server:
        ears = SlowEars(server)
        try:
            yield ears
        finally:
            ears.go_on()
        server.assert_no_traceback()


def noise(seconds: float, seed: int) -> bytes:
    """Loud sound of which no two stretches are equal."""
    samples = np.random.default_rng(seed).normal(0, 4_000, round(seconds * MIC_HZ))
    return np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()


class Speaker:
    """Says PCM16 in real time, a fiftieth of a second at a time."""

    def __init__(self, talk: Connection) -> None:
        self.said = bytearray()
        self._talk = talk
        self._began_s = asyncio.get_running_loop().time()

    async def say(self, pcm: bytes) -> None:
        loop = asyncio.get_running_loop()
        for at in range(0, len(pcm), 2 * CHUNK_SAMPLES):
            chunk = pcm[at : at + 2 * CHUNK_SAMPLES]
            captured_s = self._began_s + len(self.said) / (2 * MIC_HZ)
            self.said += chunk
            await asyncio.sleep(captured_s + 0.02 - loop.time())
            await self._talk.send_audio(chunk, MIC_HZ, captured_s=captured_s)


async def wait_for(event: type, talk: Connection) -> None:
    async with asyncio.timeout(30):
        async for message in talk:
            if isinstance(message, event):
                return


async def test_what_is_said_while_the_server_is_behind_is_transcribed_whole(ears: SlowEars) -> None:
    async with connect(ears.server.url) as talk:
        speaker = Speaker(talk)
        await speaker.say(silence(0.5) + noise(1.0, seed=1))
        assert not talk.paused
        ears.stop()
        await speaker.say(noise(2.0, seed=2))
        assert talk.paused
        await speaker.say(noise(2.0, seed=3))
        assert talk.paused
        ears.go_on()
        await speaker.say(noise(1.0, seed=4) + silence(3.0))
        await wait_for(SpeechStopped, talk)
        await wait_for(TranscriptCompleted, talk)
        assert not talk.paused
        assert talk.resumptions == 0
    heard = ears.transcribed
    at = bytes(speaker.said).find(heard)
    assert at >= 0, "samples are missing, changed or out of order"
    loud = slice(MIC_HZ, MIC_HZ + 2 * 6 * MIC_HZ)
    assert at <= loud.start
    assert at + len(heard) >= loud.stop
    words = [line["microphone"] for line in flow_of(ears.server)]
    assert words == ["pause", "resume"]


def flow_of(server: System) -> list[dict[str, str]]:
    return [line for line in server.events(GATEWAY) if line.get("event") == "microphone flow"]


async def test_a_pause_ends_with_its_connection(ears: SlowEars) -> None:
    async with resuming_client(ears.server.realtime_url) as client:
        ears.stop()
        await client.append(noise(2.0, seed=1))
        assert (await client.event("antiphon.flow"))["microphone"] == "pause"
        await client.break_off()
        assert (await client.resume())["type"] == "antiphon.resumed"
        words = [(await client.event("antiphon.flow"))["microphone"]]
        assert words == ["resume"], "the client would wait for ever"
        ears.go_on()
        await client.append(noise(0.5, seed=2) + silence(3.0))
        await client.event("input_audio_buffer.speech_stopped")
        flow = [event["microphone"] for event in client.of_type("antiphon.flow")]
        assert flow[-1] == "resume"


async def test_a_client_without_the_extension_is_not_paused(ears: SlowEars) -> None:
    async with connected(ears.server.realtime_url) as client:
        assert not client.extended
        ears.stop()
        for seed in range(20):
            await client.append(noise(0.1, seed))
            await asyncio.sleep(0.1)
        ears.go_on()
        await client.append(silence(3.0))
        await client.event("input_audio_buffer.speech_stopped")
        assert not [event for event in client.events if event["type"].startswith("antiphon.")]
    assert flow_of(ears.server) == []


async def test_a_recording_that_is_sent_at_once_pauses_nobody(ears: SlowEars) -> None:
    async with connected(ears.server.realtime_url, extended=True) as client:
        assert client.extended
        await client.append(noise(20.0, seed=1) + silence(3.0))
        await client.event("input_audio_buffer.speech_stopped")
    assert flow_of(ears.server) == []
