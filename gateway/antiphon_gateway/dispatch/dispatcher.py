"""The gateway's end of dispatch: jobs from sessions, results to them, whoever has the workers."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol

from antiphon_gateway.dispatch.actions import Action, Deliver, NoteSent
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.malformed import MalformedLog
from antiphon_gateway.dispatch.observer import JobObserver, NoObserver
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.worker_side import now_ms
from antiphon_proto import codec
from antiphon_proto.channel import Bus, Receiver
from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import STAGES, Done, Failed, Result, Stage, StageState

RESULTS_HWM = 256

DeliverResult = Callable[[Result, bytes], None]


class Core(Protocol):
    """The pure part: inputs and the time in, actions out."""

    counters: Counters

    def submit(self, request: Request, now_ms: int) -> Sequence[Action]:
        """Take a job. Raises ValueError when its id is in use."""

    def cancel(self, job_ids: list[str], now_ms: int) -> Sequence[Action]:
        """Forget jobs."""

    def result(self, result: Result, payload: bytes, now_ms: int) -> Sequence[Action]:
        """Take a step of a job."""


class Dispatcher(ABC):
    """Takes jobs from sessions, has workers do them, delivers the results.

    Use on one event loop. `submit` and `cancel` never wait and never call back; what a `deliver`
    raises goes to the event loop's exception handler and harms no other job.
    """

    def __init__(self, bus: Bus, gateway: str, core: Core, observer: JobObserver | None) -> None:
        """Prepare to serve the gateway of this name; `run` does the work."""
        self._bus = bus
        self._gateway = gateway
        self._core = core
        self._observer: JobObserver = observer or NoObserver()
        self._recipients: dict[str, DeliverResult] = {}
        self._malformed = MalformedLog(core.counters)
        self._changed = asyncio.Event()
        self._reasons: list[str] = []

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        return self._core.counters

    async def run(self) -> None:
        """Serve until cancelled.

        Raises StartupError when the gateway's endpoints cannot be bound.
        """
        results = self._bus.pull(self._bus.endpoint(f"{self._gateway}.results"), hwm=RESULTS_HWM)
        with closing(results):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_results(results), name="dispatch-results")
                group.create_task(self._serve(), name="dispatch-serve")

    def submit(self, request: Request, deliver: DeliverResult) -> None:
        """Queue a job; its results go to `deliver(result, payload)`.

        `deliver` is called on the event loop, after this returns, for each result in order; the
        last and only the last is `Done` or `Failed`. Raises ValueError when the job id is in use.
        """
        at_ms = now_ms()
        actions = self._core.submit(request, at_ms)
        self._recipients[request.job_id] = deliver
        self._observer.submitted(request, at_ms)
        self._perform(actions)

    def cancel(self, job_ids: list[str]) -> None:
        """End jobs: nothing more of them is delivered, not even a terminal result."""
        at_ms = now_ms()
        for job_id in job_ids:
            if self._recipients.pop(job_id, None):
                self._observer.ended(job_id, "cancelled", at_ms)
        self._perform(self._core.cancel(job_ids, at_ms))

    def stages(self) -> dict[Stage, StageState]:
        """Return the state of every stage."""
        return {stage: self._state(stage) for stage in STAGES}

    @abstractmethod
    def load(self, stage: Stage) -> StageLoad:
        """Return how busy a stage is now."""

    async def wait_for_change(self) -> None:
        """Wait until `stages` tells something new about a stage's readiness or its reason."""
        await self._changed.wait()

    @abstractmethod
    async def _serve(self) -> None:
        """Deal with the workers, or with the process that has them, until cancelled."""

    @abstractmethod
    def _do(self, action: Action) -> Sequence[Action]:
        """Do what is neither `Deliver` nor `NoteSent`. Return what follows from it."""

    @abstractmethod
    def _state(self, stage: Stage) -> StageState:
        """Return the state of a stage."""

    async def _read_results(self, results: Receiver) -> None:
        while True:
            for frames in await results.receive():
                try:
                    result, payload = codec.results.decode(frames)
                except MalformedMessage as exc:
                    self._malformed.count("results", exc)
                    continue
                self._perform(self._core.result(result, payload, now_ms()))
            # A receive that finds messages at hand does not give way to other tasks.
            await asyncio.sleep(0)

    def _perform(self, actions: Sequence[Action]) -> None:
        waiting = deque(actions)
        while waiting:
            action = waiting.popleft()
            if isinstance(action, Deliver):
                asyncio.get_running_loop().call_soon(self._deliver, action)
            elif isinstance(action, NoteSent):
                self._observer.sent(action.job_id, now_ms())
            else:
                waiting.extend(self._do(action))

    def _deliver(self, action: Deliver) -> None:
        deliver = self._recipients.get(action.job_id)
        if deliver is None:
            return
        if isinstance(action.result.body, Done | Failed):
            del self._recipients[action.job_id]
            outcome = "done" if isinstance(action.result.body, Done) else "failed"
            self._observer.ended(action.job_id, outcome, now_ms())
        deliver(action.result, action.payload)

    def _note_change(self) -> None:
        reasons = [f"{stage.ready} {stage.reason}" for stage in self.stages().values()]
        if reasons != self._reasons:
            self._reasons = reasons
            self._changed.set()
            self._changed = asyncio.Event()
