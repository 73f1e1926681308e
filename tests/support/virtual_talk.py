"""A conversation in virtual time: session and driver, stand-ins for ears, workers and client."""

import asyncio
import base64
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from antiphon.playout_clock import PlayoutClock
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import catalogue, client_events
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import WINDOW_SAMPLES, Vad
from antiphon_proto.config import Config, Retrieval
from antiphon_proto.frames import decode
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    Failed,
    Generate,
    PredictTurnEnd,
    ReadPrompt,
    Result,
    ResultBody,
    Stage,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
    TurnEnd,
)

CHUNK_MS = 20
RATE = 16_000
LOUD = b"\x00\x20\x00\xe0" * (RATE * CHUNK_MS // 2_000)
QUIET = bytes(2 * RATE * CHUNK_MS // 1_000)
SLOTS: dict[Stage, int] = {"stt": 3, "llm": 4, "tts": 1}
REPLIES = [
    ["It ", "is ", "noon. "],
    ["Would ", "you ", "like ", "some ", "sugar?"],
    [*(f"word{number} " for number in range(40)), "end."],
    ["No."],
]


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        """Return the virtual time."""
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            # As late as a real loop: what is due is done just after its time.
            due_s = self._scheduled[0]._when + 1e-6  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, due_s)
        super()._run_once()  # type: ignore[misc]


class Workers:
    """Stands for the dispatcher and its workers: jobs take random times and may fail."""

    def __init__(self, chance: random.Random, failures: float) -> None:
        self._chance = chance
        self._failures = failures
        self._waiting: dict[Stage, deque[tuple[Request, Callable[[Result, bytes], None]]]]
        self._waiting = {stage: deque() for stage in SLOTS}
        self._running: dict[Stage, dict[str, asyncio.Task[None]]] = {one: {} for one in SLOTS}
        self._group: asyncio.TaskGroup | None = None

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Take jobs from now on."""
        self._group = group

    def load(self, stage: Stage) -> StageLoad:
        """Return how busy a stage is."""
        waiting, running = len(self._waiting[stage]), len(self._running[stage])
        return StageLoad(waiting, 50 * waiting, running, SLOTS[stage])

    def submit(self, request: Request, deliver: Callable[[Result, bytes], None]) -> None:
        """Queue a job, an urgent one in front."""
        stage = request.stage
        place = self._waiting[stage].appendleft if request.urgent else self._waiting[stage].append
        place((request, deliver))
        asyncio.get_running_loop().call_soon(self._start, stage)

    def cancel(self, job_ids: list[str]) -> None:
        """End jobs without a result."""
        for stage in SLOTS:
            kept = [one for one in self._waiting[stage] if one[0].job_id not in job_ids]
            self._waiting[stage] = deque(kept)
            for job_id in job_ids:
                if task := self._running[stage].pop(job_id, None):
                    task.cancel()
            asyncio.get_running_loop().call_soon(self._start, stage)

    def _start(self, stage: Stage) -> None:
        while self._waiting[stage] and len(self._running[stage]) < SLOTS[stage]:
            request, deliver = self._waiting[stage].popleft()
            assert self._group is not None
            work = self._work(stage, request, deliver)
            self._running[stage][request.job_id] = self._group.create_task(work)

    async def _work(
        self, stage: Stage, request: Request, deliver: Callable[[Result, bytes], None]
    ) -> None:
        steps = [*self._steps(request), self._end(request)]
        for index, (body, payload, takes_ms) in enumerate(steps):
            await asyncio.sleep(takes_ms / 1000)
            if isinstance(body, Done | Failed):
                self._running[stage].pop(request.job_id, None)
                asyncio.get_running_loop().call_soon(self._start, stage)
            deliver(
                Result(
                    job_id=request.job_id,
                    session_id=request.session_id,
                    turn_id=request.turn_id,
                    revision=request.revision,
                    attempt=1,
                    index=index,
                    body=body,
                ),
                payload,
            )

    def _end(self, request: Request) -> tuple[ResultBody, bytes, float]:
        if self._chance.random() < self._failures:
            return Failed(code="deadline_exceeded", message="", retryable=False), b"", 5.0
        return Done(engine_ms=1), b"", self._chance.choice([0.0, 5.0])

    def _steps(self, request: Request) -> list[tuple[ResultBody, bytes, float]]:
        """Return the results of a job, each with the time before it."""
        chance, command = self._chance, request.command
        takes_ms = chance.choice([20, 60, 110, 300, 900])
        match command:
            case Transcribe():
                words = chance.choice(["What time is it?", "Um", "and then we", "", "Yes."])
                return [(Transcript(text=words, average_log_probability=-0.3), b"", takes_ms)]
            case PredictTurnEnd() | ReadPrompt():
                return [(TurnEnd(probability=chance.random()), b"", takes_ms)]
            case Generate():
                words = chance.choice(REPLIES)
                return [(TextDelta(text=word), b"", chance.choice([10, 40])) for word in words]
            case Synthesize():
                lasts_ms = 65 * len(command.text)
                audio = AudioDelta(sample_rate_hz=24_000), bytes(48 * 100)
                return [(*audio, takes_ms / 12) for _ in range(0, lasts_ms, 100)]
        raise AssertionError(command)


class Ears:
    """Stands for voice activity detection: what is loud is speech."""

    def __init__(self) -> None:
        self._deliver: Callable[[Sequence[float]], None] = lambda _: None
        self._waiting = b""

    def open(self, deliver: Callable[[Sequence[float]], None]) -> "Ears":
        """Return the one stream."""
        self._deliver = deliver
        return self

    def feed(self, pcm: bytes) -> None:
        """Examine audio; the answer comes after a while."""
        self._waiting += pcm
        found = []
        while len(self._waiting) >= 2 * WINDOW_SAMPLES:
            window, self._waiting = (
                self._waiting[: 2 * WINDOW_SAMPLES],
                self._waiting[2 * WINDOW_SAMPLES :],
            )
            found.append(0.9 if window.count(0) < 1.5 * WINDOW_SAMPLES else 0.02)
        if found:
            asyncio.get_running_loop().call_later(0.005, self._deliver, found)

    def close(self) -> None:
        """Hear no more."""


class Wire(Outbox):
    """Hands every message to the client, a step of the loop later."""

    def __init__(self, take: Callable[[str | bytes], None]) -> None:
        super().__init__()
        self._take = take

    def put(self, message: str | bytes) -> bool:
        """Hand over a message."""
        asyncio.get_running_loop().call_soon(self._take, message)
        return True


class Talker:
    """A client with a microphone and a loudspeaker."""

    def __init__(self, seed: int, *, failures: float = 0.0) -> None:
        self.chance = random.Random(seed)
        self.extensions = self.chance.random() < 0.7
        self.reports = self.chance.choice(["never", "always", "stops"])
        self.truncates = self.chance.random() < 0.7
        self.events: list[dict[str, Any]] = []
        self.outbox = Wire(self._take)
        self._clock = PlayoutClock()
        self._items: dict[int, str] = {}
        self._workers = Workers(self.chance, failures)
        config = Config()
        self._context = SessionContext(
            config, session_id="sess_1", extensions=self.extensions, load=self._workers.load
        )
        self.session = Session(self._context, catalogue.from_config(config))

    async def run(self, seconds: float, silence_s: float) -> None:
        """Talk at random for so long, then be silent."""
        loop = asyncio.get_running_loop()
        ears = cast(Vad, Ears())
        self._driver = SessionDriver(
            self.session,
            cast(Dispatcher, self._workers),
            ears,
            self.outbox,
            RetrievalService(Retrieval()),
        )
        async with asyncio.TaskGroup() as group:
            await self._workers.run(group)
            reporting = group.create_task(self._report())
            speaks, left_ms = False, 300.0
            while loop.time() < seconds + silence_s:
                left_ms -= CHUNK_MS
                if left_ms <= 0:
                    speaks = not speaks and loop.time() < seconds
                    lengths = [40, 100, 200, 500, 1_500] if speaks else [60, 170, 400, 900, 4_000]
                    left_ms = self.chance.choice(lengths)
                pcm = LOUD if speaks else QUIET
                self._driver.run(lambda now, pcm=pcm: self.session.on_audio(pcm, RATE, now))
                await asyncio.sleep(CHUNK_MS / 1000)
            self._driver.close()
            reporting.cancel()

    def _send(self, **event: Any) -> None:
        read = client_events.decode(msgspec.json.encode(event))
        self._driver.run(lambda now_ms: self.session.on_event(read, now_ms))

    def _take(self, message: str | bytes) -> None:
        now_s = asyncio.get_running_loop().time()
        if isinstance(message, bytes):
            frame = decode(message)
            length_s = len(frame.pcm) / 2 / frame.sample_rate_hz
            self._clock.received(self._items[frame.stream], length_s, now_s)
            return
        event = msgspec.json.decode(message)
        self.events.append(event)
        if event["type"] == "antiphon.audio.started":
            self._items[event["stream"]] = event["item_id"]
        elif event["type"] == "response.output_audio.delta":
            length_s = len(base64.b64decode(event["delta"])) / 2 / 24_000
            self._clock.received(event["item_id"], length_s, now_s)
        elif event["type"] == "input_audio_buffer.speech_started":
            cut = self._clock.flush(now_s)
            if cut and self.truncates:
                item = {"item_id": cut.item_id, "content_index": 0}
                kind = "conversation.item.truncate"
                self._send(type=kind, audio_end_ms=cut.played_ms, **item)

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        while self.reports != "never":
            await asyncio.sleep(0.1)
            position = self._clock.report(loop.time())
            stopped = self.reports == "stops" and self.chance.random() < 0.5
            if position and not stopped:
                self._send(type="antiphon.playout", **position._asdict())
