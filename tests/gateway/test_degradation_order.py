"""Under rising load less is done for each session, then nobody new is let in, then all recovers.

Sessions, drivers and the door are real; workers and time are virtual, so the order is exact.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from statistics import mean
from typing import NamedTuple, cast

from virtual_talk import CHUNK_MS, LOUD, QUIET, RATE, Ears, VirtualLoop, Wire

from antiphon_gateway.admission import WINDOW_MS, Admission
from antiphon_gateway.callers import Caller
from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.door import BUSY_RETRY_AFTER_S, Door
from antiphon_gateway.driver import SessionDriver
from antiphon_gateway.effects import Effect, SendEvent, Submit
from antiphon_gateway.newcomers import Newcomers
from antiphon_gateway.realtime import catalogue, server_events
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.seats import Refusal
from antiphon_gateway.security import Handshake
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import Vad
from antiphon_proto.config import Config, Retrieval
from antiphon_proto.messages import (
    STAGES,
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

SLOTS: dict[Stage, int] = {"stt": 1, "llm": 2, "tts": 2}
SPEECH_MS, SILENCE_MS = 2_400, 5_600
MOST = 60
"""Sessions; more than the workers can serve."""
ALONE_S = 2 * (SPEECH_MS + SILENCE_MS) / 1000
Deliver = Callable[[Result, bytes], None]


def now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000


class BusyWorkers:
    """Stands for the dispatcher and a few workers that all sessions share; urgent jobs first."""

    def __init__(self, group: asyncio.TaskGroup, admission: Admission) -> None:
        self._group = group
        self._admission = admission
        self._waiting: dict[Stage, deque[tuple[float, Request, Deliver]]]
        self._waiting = {stage: deque() for stage in STAGES}
        self._running: dict[Stage, dict[str, asyncio.Task[None]]] = {one: {} for one in STAGES}

    def load(self, stage: Stage) -> StageLoad:
        waits = [now_ms() - since for since, _, _ in self._waiting[stage]]
        running = len(self._running[stage])
        return StageLoad(len(waits), round(max(waits, default=0)), running, SLOTS[stage])

    def urgent_waiting_ms(self) -> dict[Stage, list[int]]:
        return {
            stage: [round(now_ms() - since) for since, request, _ in waiting if request.urgent]
            for stage, waiting in self._waiting.items()
        }

    def submit(self, request: Request, deliver: Deliver) -> None:
        self._waiting[request.stage].append((now_ms(), request, deliver))
        asyncio.get_running_loop().call_soon(self._start, request.stage)

    def cancel(self, job_ids: list[str]) -> None:
        for stage in STAGES:
            kept = [one for one in self._waiting[stage] if one[1].job_id not in job_ids]
            self._waiting[stage] = deque(kept)
            for job_id in job_ids:
                if task := self._running[stage].pop(job_id, None):
                    task.cancel()
            asyncio.get_running_loop().call_soon(self._start, stage)

    def _start(self, stage: Stage) -> None:
        waiting = self._waiting[stage]
        while waiting and len(self._running[stage]) < SLOTS[stage]:
            chosen = next((one for one in waiting if one[1].urgent), waiting[0])
            waiting.remove(chosen)
            since_ms, request, deliver = chosen
            waited_ms = now_ms() - since_ms
            if request.urgent:
                self._admission.note(stage, round(waited_ms), round(now_ms()))
            work = self._work(stage, request, deliver, waited_ms > request.budget_ms)
            self._running[stage][request.job_id] = self._group.create_task(work)

    async def _work(self, stage: Stage, request: Request, deliver: Deliver, late: bool) -> None:
        steps = [(Failed(code="deadline_exceeded", message="", retryable=False), b"", 0.0)]
        if not late:
            steps = [*made_of(request), (Done(engine_ms=1), b"", 0.0)]  # type: ignore[list-item]
        for index, (body, payload, takes_ms) in enumerate(steps):
            await asyncio.sleep(takes_ms / 1000)
            if index == len(steps) - 1:
                self._running[stage].pop(request.job_id, None)
                asyncio.get_running_loop().call_soon(self._start, stage)
            about = {"job_id": request.job_id, "session_id": request.session_id}
            turn = {"turn_id": request.turn_id, "revision": request.revision}
            deliver(Result(**about, **turn, attempt=1, index=index, body=body), payload)


def made_of(request: Request) -> list[tuple[ResultBody, bytes, float]]:
    """Return the results of a job, each with the milliseconds before it."""
    match request.command:
        case Transcribe():
            transcript = Transcript(text="What time is it?", average_log_probability=-0.3)
            return [(transcript, b"", 150.0)]
        case PredictTurnEnd() | ReadPrompt():
            return [(TurnEnd(probability=0.9), b"", 20.0)]
        case Generate():
            return [(TextDelta(text=word), b"", 150.0) for word in ("It ", "is ", "ten ", "now.")]
        case Synthesize():
            return [(AudioDelta(sample_rate_hz=24_000), bytes(48 * 700), 60.0)]
    raise AssertionError(request)


class Person:
    """Says something every eight seconds; notes what was done for each turn."""

    def __init__(self, number: int, workers: BusyWorkers, crowd: "Crowd") -> None:
        config = Config()
        context = SessionContext(
            config, session_id=f"sess_{number}", extensions=True, load=workers.load
        )
        self._session = Session(context, catalogue.from_config(config))
        self._crowd = crowd
        self._partials = 0
        self._committed = False
        self._driver = SessionDriver(
            self._session,
            cast(Dispatcher, workers),
            cast(Vad, Ears()),
            Wire(lambda _: None),
            RetrievalService(Retrieval()),
            after_step=self._note,
        )

    async def talk(self, leave: asyncio.Event) -> None:
        at_ms = 0
        while not leave.is_set():
            speaks = at_ms % (SPEECH_MS + SILENCE_MS) < SPEECH_MS
            pcm = LOUD if speaks else QUIET
            self._driver.run(lambda now, pcm=pcm: self._session.on_audio(pcm, RATE, now))
            await asyncio.sleep(CHUNK_MS / 1000)
            at_ms += CHUNK_MS
        self._driver.close()

    def _note(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Submit) and isinstance(effect.request.command, Generate):
                self._crowd.turns.append((now_ms(), not self._committed))
            elif isinstance(effect, SendEvent):
                event = effect.event
                if isinstance(event, server_events.SpeechStarted):
                    self._committed, self._partials = False, 0
                elif isinstance(event, server_events.TranscriptPartial):
                    self._partials += 1
                elif isinstance(event, server_events.InputAudioCommitted):
                    self._committed = True
                    self._crowd.utterances.append((now_ms(), self._partials))


class Crowd:
    """What is seen of all sessions, and who may join them."""

    def __init__(self) -> None:
        self.turns: list[tuple[float, bool]] = []
        """When the model was asked, and whether that was before the turn was over."""
        self.utterances: list[tuple[float, int]] = []
        """When one ended, and how many partial transcripts it had."""
        self.refusals: list[tuple[float, Refusal]] = []
        self.admission = Admission(Config().gateway.admission_queue_wait_ms)
        self.newcomers = Newcomers()
        self.door = Door(Config().gateway, self._busy)
        self.door.tell_of_entry = lambda: self.newcomers.entered(round(now_ms()))
        self.door.tell_of_overload = lambda: self.newcomers.kept_out(round(now_ms()))

    def comes(self, workers: BusyWorkers) -> bool:
        """Somebody asks for a session; return whether there is one."""
        self._workers = workers
        entry = self.door.enter(Handshake("localhost:8080"), Caller("127.0.0.1", True), 0.0)
        if isinstance(entry, Refusal):
            self.refusals.append((now_ms(), entry))
            return False
        return True

    def thinned_ms(self) -> float:
        """Return when four utterances on end had less than half as many partials as one alone."""
        alone = mean([count for at, count in self.utterances if at < ALONE_S * 1000])
        few = [(at, count < alone / 2) for at, count in self.utterances]
        return _first_run(few, 4)

    def unprepared_ms(self) -> float:
        """Return when six answers on end had not been begun before their turn was over."""
        return _first_run([(at, not early) for at, early in self.turns], 6)

    def _busy(self) -> frozenset[Stage]:
        at_ms = round(now_ms())
        refusing = self.admission.judge(self._workers.urgent_waiting_ms(), at_ms)
        if refusing:
            self.newcomers.refused(at_ms)
        loads = {stage: self._workers.load(stage) for stage in STAGES}
        free = {stage: load.slots - load.running for stage, load in loads.items()}
        return refusing | self.newcomers.crowded(free, at_ms)


def _first_run(noted: list[tuple[float, bool]], length: int) -> float:
    """Return when so many on end were true for the first time; never is infinite."""
    for end in range(length, len(noted) + 1):
        if all(true for _, true in noted[end - length : end]):
            return noted[end - 1][0]
    return math.inf


class Seen(NamedTuple):
    """When things happened in the rush, in milliseconds, and what was seen after it."""

    alone_partials: float
    """Partial transcripts of an utterance while there was one session."""
    thinned_ms: float
    """Four utterances had less than half of that."""
    unprepared_ms: float
    """Six answers were begun only when the turn was over."""
    refusals: list[tuple[float, Refusal]]
    let_in_again: bool
    partials_after: list[int]
    prepared_after: list[bool]


async def rush() -> Seen:
    """Have a person come every second until some are refused, have all leave, and one come back."""
    crowd, leave = Crowd(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        workers = BusyWorkers(group, crowd.admission)
        for number in range(MOST):
            if len(crowd.refusals) == 3:
                break
            if crowd.comes(workers):
                group.create_task(Person(number, workers, crowd).talk(leave))
            await asyncio.sleep(1.0 if number else ALONE_S)
        leave.set()
        await asyncio.sleep((WINDOW_MS + 2_000) / 1000)
        again_ms, leave = now_ms(), asyncio.Event()
        let_in = crowd.comes(workers)
        group.create_task(Person(MOST, workers, crowd).talk(leave))
        await asyncio.sleep(ALONE_S)
        leave.set()
    return Seen(
        alone_partials=mean([count for at, count in crowd.utterances if at < ALONE_S * 1000]),
        thinned_ms=crowd.thinned_ms(),
        unprepared_ms=crowd.unprepared_ms(),
        refusals=crowd.refusals,
        let_in_again=let_in,
        partials_after=[count for at, count in crowd.utterances if at >= again_ms],
        prepared_after=[early for at, early in crowd.turns if at >= again_ms],
    )


def test_it_degrades_before_it_refuses_and_recovers_by_itself() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        seen = runner.run(rush())
    assert seen.alone_partials >= 5
    (refused_ms, refusal), *_ = seen.refusals
    assert max(seen.thinned_ms, seen.unprepared_ms) < refused_ms
    assert (refusal.status, refusal.cause) == (503, "overloaded")
    assert refusal.retry_after_s == BUSY_RETRY_AFTER_S
    assert seen.let_in_again
    assert mean(seen.partials_after) >= 0.9 * seen.alone_partials
    assert seen.prepared_after
    assert all(seen.prepared_after)
