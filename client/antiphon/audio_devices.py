"""Microphone and loudspeaker of this machine, through PortAudio (package `sounddevice`)."""

import asyncio
import contextlib
import importlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from antiphon_proto.audio import Resampler, float_to_pcm16, pcm16_to_float
from antiphon_proto.errors import AntiphonError

MICROPHONE_HZ = 16_000
SPEAKER_HZ = 24_000
BLOCK_MS = 20
MAX_WAITING_BLOCKS = 100
"""Microphone audio that was not sent yet: 2 s; the newest is dropped."""
MAX_SPEAKER_S = 120
DUCKED_GAIN = 0.126
"""-18 dB."""


class NoAudioDevice(AntiphonError):
    """Raised when this machine has no microphone or loudspeaker that can be used."""

    code = "no_audio_device"


class Stream(Protocol):
    """A stream of `sounddevice`."""

    def start(self) -> None:
        """Begin to call back."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


class SoundDevice(Protocol):
    """The part of the module `sounddevice` that is used: tests put their own in its place."""

    PortAudioError: type[Exception]

    def RawInputStream(self, **settings: Any) -> Stream:  # noqa: N802
        """Open a microphone."""
        ...

    def RawOutputStream(self, **settings: Any) -> Stream:  # noqa: N802
        """Open a loudspeaker."""
        ...


def load() -> SoundDevice:
    """Return the module `sounddevice`. Raises NoAudioDevice with what installs it."""
    try:
        module: Any = importlib.import_module("sounddevice")
    except ImportError as exc:
        raise NoAudioDevice(
            "the microphone needs the package sounddevice; run: pip install 'antiphon[devices]', "
            "or name a recording: antiphon talk question.wav"
        ) from exc
    except OSError as exc:
        raise NoAudioDevice(
            "sounddevice finds no PortAudio library; on Debian and Ubuntu run: "
            "apt install libportaudio2"
        ) from exc
    sound: SoundDevice = module
    return sound


class Microphone:
    """What the microphone hears, in blocks of PCM16 mono at `MICROPHONE_HZ`."""

    def __init__(self) -> None:
        self.dropped = 0
        """Blocks lost because nobody took them."""
        self._loop = asyncio.get_running_loop()
        self._blocks: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue(MAX_WAITING_BLOCKS)

    def on_block(self, block: Any, frames: int, _time: Any, _status: Any) -> None:
        """Take a block. Called by PortAudio, on its own thread."""
        captured_s = time.monotonic() - frames / MICROPHONE_HZ
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._put, bytes(block), captured_s)

    async def block(self) -> tuple[bytes, float]:
        """Return the next block, and when its first sample was captured (monotonic, seconds)."""
        return await self._blocks.get()

    def _put(self, block: bytes, captured_s: float) -> None:
        if self._blocks.full():
            self.dropped += 1
        else:
            self._blocks.put_nowait((block, captured_s))


class Speaker:
    """Plays PCM16 mono, at most `MAX_SPEAKER_S` ahead; silence when there is nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = bytearray()
        self._gain = 1.0
        self._paused = False
        self._resampler: tuple[int, Resampler] | None = None

    def play(self, pcm: bytes, sample_rate_hz: int) -> None:
        """Play audio behind what is played already."""
        if self._resampler is None or self._resampler[0] != sample_rate_hz:
            self._resampler = sample_rate_hz, Resampler(sample_rate_hz, SPEAKER_HZ)
        audio = self._resampler[1].feed(pcm)
        with self._lock:
            room_bytes = 2 * SPEAKER_HZ * MAX_SPEAKER_S - len(self._waiting)
            self._waiting += audio[: max(room_bytes, 0)]

    def stop(self) -> None:
        """Fall silent at once."""
        with self._lock:
            self._waiting.clear()
        self.duck(False)

    def duck(self, ducked: bool, *, paused: bool = False) -> None:
        """Play quietly, or not at all, or as before again from the same sample."""
        self._gain = DUCKED_GAIN if ducked else 1.0
        self._paused = paused

    def on_block(self, block: Any, frames: int, _time: Any, _status: Any) -> None:
        """Fill a block. Called by PortAudio, on its own thread."""
        with self._lock:
            played_bytes = 0 if self._paused else 2 * frames
            audio = bytes(self._waiting[:played_bytes])
            del self._waiting[:played_bytes]
        if self._gain != 1.0:
            audio = float_to_pcm16(pcm16_to_float(audio) * np.float32(self._gain))
        block[:] = audio.ljust(2 * frames, b"\0")


@contextlib.contextmanager
def opened(sound: SoundDevice) -> Iterator[tuple[Microphone, Speaker]]:
    """Open both devices for the block. Raises NoAudioDevice when there are none."""
    microphone, speaker = Microphone(), Speaker()
    with contextlib.ExitStack() as streams:
        for what, make, rate_hz, callback in (
            ("microphone", sound.RawInputStream, MICROPHONE_HZ, microphone.on_block),
            ("loudspeaker", sound.RawOutputStream, SPEAKER_HZ, speaker.on_block),
        ):
            try:
                stream = make(
                    samplerate=rate_hz,
                    channels=1,
                    dtype="int16",
                    blocksize=rate_hz * BLOCK_MS // 1000,
                    callback=callback,
                )
                streams.callback(stream.close)
                stream.start()
            except (sound.PortAudioError, ValueError) as exc:
                raise NoAudioDevice(
                    f"the {what} cannot be opened ({exc}); "
                    "run: python -m sounddevice, which lists the devices"
                ) from exc
        yield microphone, speaker
