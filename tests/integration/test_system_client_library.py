"""The Python client against the real server: text, and devices of the test's own."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from system import System
from system_client import speech, word_errors

import antiphon
from antiphon.audio_devices import MICROPHONE_HZ, SPEAKER_HZ
from antiphon.live_talk import converse

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]

QUESTION = "should i get a dog or a cat"


async def test_what_is_written_is_answered(embedded_system: System) -> None:
    async with antiphon.connect(embedded_system.url) as talk:
        session = {"type": "realtime", "output_modalities": ["text"]}
        await talk.send({"type": "session.update", "session": session})
        await talk.send_text("What is the capital of France?")
        async for message in talk:
            if isinstance(message, antiphon.events.ResponseDone):
                assert message.response.status in ("completed", "incomplete")
                break


class Device:
    """A stream whose callback is called in real time, as PortAudio does."""

    def __init__(self, audio: bytes | None, **settings: Any) -> None:
        self._audio = audio
        self._settings = settings
        self._stopped = threading.Event()
        self.played = bytearray()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        frames, callback = self._settings["blocksize"], self._settings["callback"]
        due_s = time.monotonic()
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            due_s += frames / self._settings["samplerate"]
            block = bytearray(2 * frames)
            if self._audio is not None:
                said, self._audio = self._audio[: 2 * frames], self._audio[2 * frames :]
                callback(said.ljust(2 * frames, b"\0"), frames, None, None)
            else:
                callback(memoryview(block), frames, None, None)
                self.played += block


class Sound:
    PortAudioError = OSError

    def __init__(self, audio: bytes) -> None:
        self._audio = audio
        self.speaker = Device(None)

    def RawInputStream(self, **settings: Any) -> Device:  # noqa: N802
        assert settings["samplerate"] == MICROPHONE_HZ
        return Device(self._audio, **settings)

    def RawOutputStream(self, **settings: Any) -> Device:  # noqa: N802
        self.speaker = Device(None, **settings)
        return self.speaker


async def test_a_conversation_runs_through_microphone_and_loudspeaker(
    embedded_system: System,
) -> None:
    sound = Sound(speech("dog_or_cat"))
    shown: list[str] = []
    replied = asyncio.Event()

    def show(line: str) -> None:
        shown.append(line)
        if line.startswith("reply:"):
            replied.set()

    async with asyncio.TaskGroup() as group:
        talking = group.create_task(
            converse(embedded_system.url, api_key="", sound=sound, show=show)
        )
        async with asyncio.timeout(60):
            await replied.wait()
        talking.cancel()
    said = [line.removeprefix("you:").strip() for line in shown if line.startswith("you:")]
    assert word_errors(QUESTION, said[0]) <= 0.25
    samples = np.frombuffer(bytes(sound.speaker.played), "<i2").astype(float)
    assert (np.abs(samples) > 500).sum() > SPEAKER_HZ // 10
