"""A scheduler on a desk: its clock, its inputs in short, its last actions."""

from typing import TypeVar

import pytest

from antiphon_gateway.dispatch.actions import Deliver, Send
from antiphon_gateway.dispatch.request import PATIENCE_MS, Request
from antiphon_gateway.dispatch.scheduler import Outcome, Scheduler
from antiphon_proto.messages import (
    Command,
    Done,
    Failed,
    Finished,
    Heartbeat,
    Result,
    ResultBody,
    Stage,
    Synthesize,
)

SPEAK = Synthesize(text="Hello there.", voice="joe")

ActionT = TypeVar("ActionT")


class Desk:
    """A scheduler, its clock, and what it asked for last."""

    def __init__(self) -> None:
        self.scheduler = Scheduler("gateway-0")
        self.now_ms = 0
        self.actions: list[Outcome] = []

    def beat(
        self,
        worker_id: str = "tts-0",
        *,
        stage: Stage = "tts",
        slots: int = 1,
        incarnation: str = "a",
        running: tuple[str, ...] = (),
        step_age_ms: int = 0,
        steps_ms: tuple[int, ...] = (),
        voices: tuple[str, ...] = (),
        languages: tuple[str, ...] = (),
        malformed: int = 0,
    ) -> None:
        beat = Heartbeat(
            worker_id=worker_id,
            incarnation=incarnation,
            stage=stage,
            endpoint=f"ipc:///run/{worker_id}.{incarnation}.jobs",
            slots=slots,
            engine="simulated",
            model="none",
            pid=1,
            running=running,
            last_step_age_ms=step_age_ms,
            steps_ms=steps_ms,
            voices=voices,
            languages=languages,
            malformed=malformed,
        )
        self.actions = self.scheduler.status(beat, self.now_ms)

    def join(
        self,
        worker_id: str = "tts-0",
        *,
        stage: Stage = "tts",
        slots: int = 1,
        voices: tuple[str, ...] = (),
        languages: tuple[str, ...] = (),
    ) -> None:
        self.beat(worker_id, stage=stage, slots=slots, voices=voices, languages=languages)
        self.actions = self.scheduler.worker_connected(worker_id, "a", self.now_ms)

    def submit(
        self,
        job_id: str,
        command: Command = SPEAK,
        *,
        session: str = "s",
        urgent: bool = False,
        budget_ms: int = 60_000,
        patience_ms: int = PATIENCE_MS,
        payload: bytes = b"",
    ) -> None:
        request = Request(
            job_id=job_id,
            session_id=session,
            turn_id=1,
            revision=0,
            command=command,
            payload=payload,
            budget_ms=budget_ms,
            urgent=urgent,
            patience_ms=patience_ms,
        )
        self.actions = self.scheduler.submit(request, self.now_ms)

    def result(
        self, job_id: str, attempt: int, index: int, body: ResultBody, payload: bytes = b""
    ) -> None:
        result = Result(
            job_id=job_id,
            session_id="s",
            turn_id=1,
            revision=0,
            attempt=attempt,
            index=index,
            body=body,
        )
        self.actions = self.scheduler.result(result, payload, self.now_ms)

    def finished(self, job_id: str, attempt: int = 1, worker_id: str = "tts-0") -> None:
        message = Finished(worker_id=worker_id, incarnation="a", job_id=job_id, attempt=attempt)
        self.actions = self.scheduler.status(message, self.now_ms)

    def complete(self, job_id: str) -> None:
        self.result(job_id, 1, 0, Done(engine_ms=1.0))
        self.finished(job_id)

    def cancel(self, *job_ids: str) -> None:
        self.actions = self.scheduler.cancel(list(job_ids), self.now_ms)

    def lose(self, worker_id: str = "tts-0", incarnation: str = "a") -> None:
        self.actions = self.scheduler.worker_lost(worker_id, incarnation, self.now_ms)

    def tick(self, passed_ms: int) -> None:
        self.actions = []
        for _ in range(passed_ms // 100):
            self.now_ms += 100
            self.actions += self.scheduler.tick(self.now_ms)

    def asked(self, kind: type[ActionT]) -> list[ActionT]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def sent(self) -> list[tuple[str, str, int]]:
        return [(s.worker_id, s.job.job_id, s.job.attempt) for s in self.asked(Send)]

    @property
    def failures(self) -> dict[str, str]:
        return {
            d.job_id: d.result.body.code
            for d in self.asked(Deliver)
            if isinstance(d.result.body, Failed)
        }

    @property
    def delivered(self) -> list[bytes]:
        return [d.payload for d in self.asked(Deliver)]


@pytest.fixture
def desk() -> Desk:
    return Desk()
