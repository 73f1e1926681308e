"""Microphone and loudspeaker, with streams of the test's own in the place of sounddevice's."""

import asyncio
import importlib
from typing import Any

import numpy as np
import pytest

from antiphon import events, talk
from antiphon.audio_devices import (
    MAX_WAITING_BLOCKS,
    MICROPHONE_HZ,
    SPEAKER_HZ,
    NoAudioDevice,
    Speaker,
    load,
    opened,
)
from antiphon.connection import Audio
from antiphon.live_talk import LiveConversation

BLOCK = 480


class FakeStream:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.running = False

    def start(self) -> None:
        self.running = True

    def close(self) -> None:
        self.running = False


class FakeSound:
    """As much of the module `sounddevice` as is used."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *, absent: str = "") -> None:
        self._absent = absent
        self.streams: list[FakeStream] = []

    def RawInputStream(self, **settings: Any) -> FakeStream:  # noqa: N802
        return self._open("in", settings)

    def RawOutputStream(self, **settings: Any) -> FakeStream:  # noqa: N802
        return self._open("out", settings)

    def _open(self, kind: str, settings: dict[str, Any]) -> FakeStream:
        if kind == self._absent:
            raise self.PortAudioError("no default device")
        self.streams.append(FakeStream(**settings))
        return self.streams[-1]


def played(speaker: Speaker, frames: int = BLOCK) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return the samples that the loudspeaker would play next."""
    block = bytearray(2 * frames)
    speaker.on_block(memoryview(block), frames, None, None)
    return np.frombuffer(bytes(block), "<i2")


async def test_both_devices_are_opened_and_closed() -> None:
    sound = FakeSound()
    with opened(sound):
        rates = [stream.settings["samplerate"] for stream in sound.streams]
        assert rates == [MICROPHONE_HZ, SPEAKER_HZ]
        assert all(stream.running for stream in sound.streams)
    assert not any(stream.running for stream in sound.streams)


@pytest.mark.parametrize(("absent", "what"), [("in", "microphone"), ("out", "loudspeaker")])
async def test_a_missing_device_is_named_and_the_other_is_closed(absent: str, what: str) -> None:
    sound = FakeSound(absent=absent)
    said = f"the {what} cannot be opened .no default device"
    with pytest.raises(NoAudioDevice, match=said), opened(sound):
        pass
    assert not any(stream.running for stream in sound.streams)


async def test_blocks_of_the_microphone_arrive_in_order_and_are_bounded() -> None:
    sound = FakeSound()
    with opened(sound) as (microphone, _):
        callback = sound.streams[0].settings["callback"]
        for number in range(MAX_WAITING_BLOCKS + 5):
            await asyncio.to_thread(callback, bytes([number, 0]) * 320, 320, None, None)
        await asyncio.sleep(0)
        blocks = [(await microphone.block())[0][0] for _ in range(MAX_WAITING_BLOCKS)]
        assert blocks == list(range(MAX_WAITING_BLOCKS))
        assert microphone.dropped == 5


def test_the_loudspeaker_plays_then_is_silent_and_stops_at_once() -> None:
    speaker = Speaker()
    tone = np.full(BLOCK * 3, 1_000, "<i2").tobytes()
    speaker.play(tone, SPEAKER_HZ)
    assert (played(speaker) == 1_000).all()
    speaker.duck(True)
    assert (abs(played(speaker) - 126) <= 1).all()
    speaker.duck(True, paused=True)
    assert not played(speaker).any()
    speaker.duck(False)
    assert (played(speaker) == 1_000).all()
    assert not played(speaker).any()
    speaker.play(tone, SPEAKER_HZ)
    speaker.duck(True, paused=True)
    speaker.stop()
    assert not played(speaker).any()
    speaker.play(tone, SPEAKER_HZ)
    assert (played(speaker) == 1_000).all()


def test_a_conversation_is_heard_and_shown() -> None:
    speaker = Speaker()
    shown: list[str] = []
    live = LiveConversation(speaker, shown.append)
    pcm = np.full(BLOCK, 500, "<i2").tobytes()
    live.take(events.parse('{"type": "antiphon.citations", "item_id": "a", "citations": []}'))
    live.take(Audio("r", "a", SPEAKER_HZ, pcm, 0.0))
    live.take(events.parse('{"type": "antiphon.duck", "item_id": "a", "ducked": true}'))
    live.take(events.parse('{"type": "input_audio_buffer.speech_started", "item_id": "b"}'))
    assert not played(speaker).any()
    live.take(Audio("r", "a", SPEAKER_HZ, pcm, 0.0))
    assert (played(speaker) == 500).all()
    live.take(
        events.parse(
            '{"type": "conversation.item.input_audio_transcription.completed", '
            '"item_id": "b", "transcript": " Hello. "}'
        )
    )
    assert shown == ["from:  ", "you:   Hello."]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ImportError("No module named 'sounddevice'"), r"pip install 'antiphon\[devices\]'"),
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
    ],
)
def test_what_is_missing_is_said_with_what_installs_it(
    error: Exception, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(NoAudioDevice, match=text):
        load()
    assert talk.audio_devices.load is load
