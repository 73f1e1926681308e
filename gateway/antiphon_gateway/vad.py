"""Voice activity of all sessions: their windows in one ONNX call, on one worker thread.

The event loop only queues audio and delivers probabilities; it never runs the model.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from antiphon_gateway.silero_graph import regrouped
from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.errors import StartupError

WINDOW_SAMPLES = 512
"""Samples of one window at 16 kHz: 32 ms."""

MAX_WAITING_WINDOWS = 1_875
"""Windows of one stream that may wait: 60 s of audio."""

MODEL_FILE = "silero_vad_16k.onnx"

Deliver = Callable[[Sequence[float]], None]

_WINDOW_BYTES = 2 * WINDOW_SAMPLES
_CONTEXT_BYTES = 2 * 64
_ROUNDS_PER_BATCH = 8
"""Windows that one stream may put into one batch, so that a long upload delays nobody."""

_FEW_STREAMS = 8
"""Up to so many streams each window is looked at as it comes."""
_GATHER_S = 0.008
"""With more streams a batch waits so long for their windows. A window alone costs 0.11 ms of
processor time and two changes of thread, in a batch of sixteen 0.05 ms and an eighth of them."""

_Array = npt.NDArray[np.float32]


class Model(Protocol):
    """What tells speech from other sound, window by window."""

    def step(self, windows: _Array, state: _Array) -> tuple[_Array, _Array]:
        """Return probabilities `[streams]` and the next state of one window per stream.

        `windows` is `[streams, 576]` (the 64 samples before the window, then the window), `state`
        is `[2, streams, 128]`, zero at the beginning of a stream.
        """
        ...


class SileroModel:
    """Silero VAD at 16 kHz; independent streams side by side in the batch axis."""

    def __init__(self, path: Path) -> None:
        """Load the model from its file, or from a directory that holds `MODEL_FILE`.

        Raises StartupError when it is missing or not a Silero VAD file for 16 kHz.
        """
        path = path / MODEL_FILE if path.is_dir() else path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                regrouped(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # the errors of onnx and onnxruntime share no public base class
            raise StartupError(
                f"cannot load the voice activity model {path}: {exc}; "
                "run: antiphon models pull silero-vad"
            ) from exc

    def step(self, windows: _Array, state: _Array) -> tuple[_Array, _Array]:
        """See `Model.step`."""
        probabilities, state = self._session.run(
            ["output", "stateN"], {"input": windows, "state": state}
        )
        return probabilities[:, 0], state


class VadStream:
    """The microphone of one session. Made by `Vad.open`."""

    def __init__(
        self, deliver: Deliver, ready: asyncio.Event, forget: Callable[["VadStream"], None]
    ) -> None:
        self._deliver = deliver
        self._ready = ready
        self._forget = forget
        self._waiting = bytearray()
        self._context = bytes(_CONTEXT_BYTES)
        self._unheard = 0
        self._unheard_before_batch = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self.closed = False
        self.state: _Array = np.zeros((2, 1, 128), dtype=np.float32)

    @property
    def waiting_windows(self) -> int:
        """Whole windows that the model has not seen yet."""
        return len(self._waiting) // _WINDOW_BYTES

    def feed(self, pcm16_16k: bytes) -> None:
        """Append PCM16 at 16 kHz of any length; what is less than a window waits for more.

        When more than `MAX_WAITING_WINDOWS` wait, the oldest never reach the model: they are
        delivered as silence, so that the count of windows still tells the time.
        """
        if self.closed:
            return
        self._waiting += pcm16_16k
        surplus = self.waiting_windows - MAX_WAITING_WINDOWS
        if surplus > 0:
            del self._waiting[: surplus * _WINDOW_BYTES]
            self._unheard += surplus
        if waiting := self.waiting_windows:
            self._drained.clear()
            self._ready.set()
            if waiting > _ROUNDS_PER_BATCH:
                self._caught_up.clear()

    @property
    def is_drained(self) -> bool:
        """Whether no whole window waits, or is being looked at."""
        return self._drained.is_set()

    @property
    def is_caught_up(self) -> bool:
        """Whether one batch takes all that waits."""
        return self._caught_up.is_set()

    async def drained(self) -> None:
        """Wait until no whole window waits."""
        await self._drained.wait()

    async def caught_up(self) -> None:
        """Wait until one batch takes all that waits: how a reader slows who sends too fast.

        Who sends in real time never waits.
        """
        await self._caught_up.wait()

    def close(self) -> None:
        """Drop what waits; nothing is delivered any more. May be called twice."""
        if self.closed:
            return
        self.closed = True
        self._forget(self)
        self._waiting.clear()
        self._drained.set()
        self._caught_up.set()

    def take(self) -> bytes:
        """Return the next whole windows, at most as many as one batch may hold.

        The 64 samples that the model heard before them come first.
        """
        count = min(self.waiting_windows, _ROUNDS_PER_BATCH) * _WINDOW_BYTES
        pcm = self._context + self._waiting[:count]
        self._context = pcm[-_CONTEXT_BYTES:]
        del self._waiting[:count]
        self._unheard_before_batch, self._unheard = self._unheard, 0
        return pcm

    def deliver(self, probabilities: list[float]) -> None:
        """Hand over the probabilities of the windows taken last."""
        if self.closed:
            return
        if not self.waiting_windows:
            self._drained.set()
        if self.waiting_windows <= _ROUNDS_PER_BATCH:
            self._caught_up.set()
        self._deliver([0.0] * self._unheard_before_batch + probabilities)


@dataclasses.dataclass(slots=True)
class _Share:
    """What one stream has in a batch."""

    stream: VadStream
    pcm: bytes
    probabilities: list[float] = dataclasses.field(default_factory=list)


class Vad:
    """Runs the voice activity model over the windows of all open streams."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._ready = asyncio.Event()
        self._streams: dict[VadStream, None] = {}

    def open(self, deliver: Deliver) -> VadStream:
        """Return a new stream, in silence.

        `deliver` is called on the event loop with one probability per 32 ms window, in order, none
        skipped. It must not raise.
        """
        stream = VadStream(deliver, self._ready, self._streams.pop)
        self._streams[stream] = None
        return stream

    async def run(self) -> None:
        """Serve the streams until cancelled; waits without cost while nobody speaks or sends."""
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vad")
        try:
            while True:
                await self._ready.wait()
                if len(self._streams) > _FEW_STREAMS:
                    await asyncio.sleep(_GATHER_S)
                self._ready.clear()
                while batch := self._take_batch():
                    await loop.run_in_executor(executor, _run_batch, self._model, batch)
                    for share in batch:
                        share.stream.deliver(share.probabilities)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def _take_batch(self) -> list[_Share]:
        return [_Share(stream, stream.take()) for stream in self._streams if stream.waiting_windows]


def _run_batch(model: Model, batch: list[_Share]) -> None:
    """Fill in the probabilities of every share: round by round, one window of each stream."""
    for number in range(_ROUNDS_PER_BATCH):
        start = number * _WINDOW_BYTES
        end = start + _CONTEXT_BYTES + _WINDOW_BYTES
        live = [share for share in batch if len(share.pcm) >= end]
        if not live:
            break
        samples = pcm16_to_float(b"".join([share.pcm[start:end] for share in live]))
        state = np.concatenate([share.stream.state for share in live], axis=1)
        probabilities, state = model.step(samples.reshape(len(live), -1), state)
        speech = probabilities.tolist()
        for place, share in enumerate(live):
            share.probabilities.append(speech[place])
            share.stream.state = state[:, place : place + 1]
