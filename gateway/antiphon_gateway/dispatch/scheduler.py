"""The scheduling core: inputs and the time in, actions out. No sockets, no clock, no event loop."""

from antiphon_gateway.dispatch.actions import Action, Cancel, Connect, Disconnect, Send
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.jobs import Jobs
from antiphon_gateway.dispatch.ledger import Entry
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.dispatch.roster import Hold, Roster, Worker, in_range
from antiphon_proto.messages import (
    Finished,
    Goodbye,
    Heartbeat,
    Loading,
    Refused,
    Result,
    Stage,
    Status,
)

STALL_MS = 1_000
"""A tick so late that this process, not the workers, was silent."""


class Scheduler:
    """Jobs and workers of all stages."""

    def __init__(self, gateway: str) -> None:
        """Schedule for the gateway that workers know by this name."""
        self.counters = Counters()
        self.roster = Roster()
        self._jobs = Jobs(self.counters)
        self._ledger = self._jobs.ledger
        self._gateway = gateway
        self._last_tick_ms: int | None = None

    # --- from sessions -------------------------------------------------------------------------

    def submit(self, request: Request, now_ms: int) -> list[Action]:
        """Take a job. Raises ValueError when its id is in use."""
        out: list[Action] = []
        self._jobs.submit(request, now_ms, out)
        self._assign(now_ms, out)
        return out

    def cancel(self, job_ids: list[str]) -> list[Action]:
        """Forget jobs; nothing more of them is delivered, not even a terminal result."""
        sent = self._jobs.cancel(job_ids)
        return [Cancel(sent)] if sent else []

    def queued(self, stage: Stage) -> int:
        """Return how many jobs of a stage wait for a worker."""
        return self._ledger.waiting(stage)[0]

    def waiting_since_ms(self, stage: Stage) -> list[int]:
        """Return when each job of a stage that waits for a worker was submitted."""
        return [
            entry.deadline_ms - entry.request.budget_ms
            for entry in self._ledger.all()
            if entry.worker_id is None and entry.request.stage == stage
        ]

    @property
    def unfinished(self) -> int:
        """Jobs that are not over."""
        return len(self._ledger)

    # --- from workers --------------------------------------------------------------------------

    def status(self, status: Status, now_ms: int) -> list[Action]:
        """Take any status message."""
        if isinstance(status, Heartbeat):
            return self.heartbeat(status, now_ms)
        if isinstance(status, Loading):
            return self.loading(status, now_ms)
        if isinstance(status, Finished):
            return self.finished(status, now_ms)
        if isinstance(status, Refused):
            return self.refused(status, now_ms)
        return self.goodbye(status, now_ms)

    def heartbeat(self, beat: Heartbeat, now_ms: int) -> list[Action]:
        """A worker is alive; the first time, it is new."""
        out: list[Action] = []
        worker = self._recognise(beat, now_ms, out)
        if worker is None:
            self.counters.ignored_heartbeats += 1
            return out
        worker.announced = beat
        worker.heard_ms = now_ms
        worker.suspect = False
        if worker.link == "down":
            self._connect(worker, out)
        for job_id in worker.reconcile(beat.running, now_ms):
            self._jobs.finished(job_id, worker.id, now_ms)
        self._cancel_unwanted(worker.id, beat.running, out)
        self._find_stuck(worker, now_ms, out)
        self._assign(now_ms, out)
        return out

    def loading(self, loading: Loading, now_ms: int) -> list[Action]:
        """A worker is loading its engine."""
        self.roster.load(loading, now_ms)
        return []

    def finished(self, finished: Finished, now_ms: int) -> list[Action]:
        """A worker holds a job no more. Its terminal result travels apart and may come later."""
        out: list[Action] = []
        worker = self.roster.get(finished.worker_id, finished.incarnation)
        if worker is None:
            return out
        worker.heard_ms = now_ms
        worker.release(finished.job_id, finished.attempt)
        entry = self._ledger.at(finished.job_id, worker.id)
        if entry and entry.attempt == finished.attempt:
            self._jobs.finished(finished.job_id, worker.id, now_ms)
        self._assign(now_ms, out)
        return out

    def refused(self, refused: Refused, now_ms: int) -> list[Action]:
        """A worker did not take a job. It gets no other before its next heartbeat."""
        out: list[Action] = []
        worker = self.roster.get(refused.worker_id, refused.incarnation)
        if worker is None:
            return out
        self.counters.refused += 1
        worker.suspect = True
        worker.release(refused.job_id, refused.attempt)
        entry = self._ledger.at(refused.job_id, worker.id)
        if entry and entry.attempt == refused.attempt:
            if refused.reason == "malformed":
                self._jobs.fail(entry, "malformed_job", f"{worker.id} could not read it", out)
            else:
                self._jobs.reissue(entry, out)
        self._assign(now_ms, out)
        return out

    def goodbye(self, goodbye: Goodbye, now_ms: int) -> list[Action]:
        """A worker exits in good order."""
        out: list[Action] = []
        worker = self.roster.get(goodbye.worker_id, goodbye.incarnation)
        if worker is None:
            return out
        self._lose_worker(worker, "it said goodbye", out, died=False)
        self.roster.remove(worker.id)
        self._assign(now_ms, out)
        return out

    def result(self, result: Result, payload: bytes, now_ms: int) -> list[Action]:
        """A worker made a step of a job."""
        out: list[Action] = []
        entry = self._ledger.get(result.job_id)
        verdict = entry.judge(result) if entry else "late"
        if entry is None or verdict == "late":
            self.counters.fenced += 1
            return out
        if verdict == "gap" or not entry.fits(result, payload):
            self._jobs.break_off(entry, out)
        else:
            if worker := self.roster.get(entry.worker_id or ""):
                worker.heard_ms = now_ms
                worker.steps_ms.append(now_ms - entry.step_ms)
            self._jobs.step(entry, result, payload, now_ms, out)
        self._assign(now_ms, out)
        return out

    # --- from connections and the clock --------------------------------------------------------

    def worker_connected(self, worker_id: str, incarnation: str, now_ms: int) -> list[Action]:
        """The job connection to a worker is open."""
        out: list[Action] = []
        if worker := self.roster.get(worker_id, incarnation):
            worker.link = "up"
            self._assign(now_ms, out)
        return out

    def worker_lost(self, worker_id: str, incarnation: str, now_ms: int) -> list[Action]:
        """The job connection to a worker closed."""
        out: list[Action] = []
        if worker := self.roster.get(worker_id, incarnation):
            self._lose_worker(worker, "its connection closed", out)
            self._assign(now_ms, out)
        return out

    def unsent(self, send: Send, now_ms: int) -> list[Action]:
        """A `Send` met a full pipe or no peer: the job never left."""
        out: list[Action] = []
        self.counters.high_water_hits += 1
        job = send.job
        if worker := self.roster.get(send.worker_id, send.incarnation):
            worker.suspect = True
            worker.release(job.job_id, job.attempt)
        entry = self._ledger.at(job.job_id, send.worker_id)
        if entry and entry.attempt == job.attempt:
            self._jobs.reissue(entry, out)
        self._assign(now_ms, out)
        return out

    def tick(self, now_ms: int) -> list[Action]:
        """Time passed. Call about ten times a second."""
        out: list[Action] = []
        last_ms = now_ms if self._last_tick_ms is None else self._last_tick_ms
        if now_ms - last_ms > STALL_MS:
            self.roster.forgive(now_ms - last_ms)
        self._last_tick_ms = now_ms
        for worker in self.roster.silent(now_ms):
            self._lose_worker(worker, "it fell silent", out)
            self.roster.remove(worker.id)
        self._jobs.tick(now_ms, out)
        self._assign(now_ms, out)
        return out

    # --- the course of one worker --------------------------------------------------------------

    def _assign(self, now_ms: int, out: list[Action]) -> None:
        """Give waiting jobs to workers with room."""
        for stage, queue in self._jobs.queues.items():
            while queue and self.roster.has_room(stage):
                pairs = ((job_id, self.roster.pick(stage, job_id)) for job_id in queue.heads())
                chosen = next(((job_id, worker) for job_id, worker in pairs if worker), None)
                if chosen is None:
                    break
                job_id, worker = chosen
                queue.take(job_id)
                if entry := self._ledger.get(job_id):
                    out.append(self._send(entry, worker, now_ms))

    def _send(self, entry: Entry, worker: Worker, now_ms: int) -> Send:
        entry.worker_id = worker.id
        entry.sent = True
        entry.step_ms = now_ms
        worker.holds[entry.request.job_id] = Hold(attempt=entry.attempt, sent_ms=now_ms)
        job = entry.job(self._gateway, now_ms)
        return Send(worker.id, worker.incarnation, job, entry.request.payload)

    def _recognise(self, beat: Heartbeat, now_ms: int, out: list[Action]) -> Worker | None:
        """Return the worker that a heartbeat is from; None: it is not to be served."""
        if not in_range(beat):
            return None
        known = self.roster.get(beat.worker_id)
        if known and known.incarnation == beat.incarnation:
            return known
        if known and beat.incarnation in known.former:
            self._cancel_unwanted("", beat.running, out)
            return None
        if known is None and self.roster.full:
            return None
        worker = Worker(beat, now_ms)
        if known:
            self._lose_worker(known, "a new process took its name", out)
            worker.former.extend([*known.former, known.incarnation])
        self.roster.add(worker)
        self._connect(worker, out)
        return worker

    def _connect(self, worker: Worker, out: list[Action]) -> None:
        beat = worker.announced
        worker.link = "connecting"
        out.append(Connect(beat.worker_id, beat.incarnation, beat.endpoint, beat.slots))

    def _lose_worker(
        self, worker: Worker, cause: str, out: list[Action], *, died: bool = True
    ) -> None:
        if worker.link != "down":
            worker.link = "down"
            self.counters.workers_lost += died
            self.roster.last_lost[worker.announced.stage] = f"{worker.id} is gone: {cause}"
            out.append(Disconnect(worker.id, worker.incarnation))
        worker.holds.clear()
        # Each goes before the session's others, so the last one taken is served first.
        for entry in reversed(self._ledger.held_by(worker.id)):
            self._jobs.lose_attempt(entry, f"{worker.id} was lost, {cause}", out, died=died)

    def _find_stuck(self, worker: Worker, now_ms: int, out: list[Action]) -> None:
        if worker.announced.last_step_age_ms <= worker.stuck_ms:
            return
        for entry in self._ledger.held_by(worker.id):
            if now_ms - entry.step_ms > worker.stuck_ms:
                self.counters.stuck += 1
                self._jobs.withdraw(entry, out)
                self._jobs.lose_attempt(entry, f"{worker.id} was stuck", out, died=True)

    def _cancel_unwanted(self, worker_id: str, running: tuple[str, ...], out: list[Action]) -> None:
        """Cancel what a worker runs and nobody waits for, and earlier tries of live jobs."""
        unknown = tuple(job_id for job_id in running if job_id not in self._ledger)
        self.counters.stale_cancels += len(unknown)
        if unknown:
            out.append(Cancel(unknown))
        for job_id in running:
            entry = self._ledger.get(job_id)
            if entry and entry.worker_id != worker_id and entry.attempt > 1:
                self.counters.stale_cancels += 1
                out.append(Cancel((job_id,), through_attempt=entry.attempt - 1))
