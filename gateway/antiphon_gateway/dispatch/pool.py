"""Workers and the tries for them: who gets which. No sockets, no clock, no event loop.

Inputs and the time in, actions out. It knows the tries of jobs, not what they bring: that is the
gateway's (`jobs.py`). It lives in the gateway, or in a process that serves several gateways.
"""

from collections.abc import Iterable

import msgspec

from antiphon_gateway.dispatch.actions import (
    Cancel,
    Connect,
    Disconnect,
    PoolAction,
    Send,
    Tell,
)
from antiphon_gateway.dispatch.counters import Counters
from antiphon_gateway.dispatch.roster import (
    SILENCE_MS,
    Hold,
    Roster,
    Worker,
    in_range,
    step_ages_ms,
)
from antiphon_gateway.dispatch.tries import Tries, Try
from antiphon_proto.messages import (
    EnqueueJob,
    Finished,
    Goodbye,
    Heartbeat,
    JobSent,
    Loading,
    OpenJob,
    Refused,
    Status,
    WithdrawJobs,
)

STALL_MS = 1_000
"""A tick so late that this process, not the others, was silent."""


class Pool:
    """The workers of all stages, and every try that waits for one or is at one."""

    def __init__(self, counters: Counters, *, unclaimed_ms: int = 0) -> None:
        """So long after the first tick workers may run jobs that no gateway has named yet."""
        self.counters = counters
        self.roster = Roster()
        self.tries = Tries()
        self._last_tick_ms: int | None = None
        self._unclaimed_ms = unclaimed_ms
        self._heard_ms: dict[str, int] = {}

    # --- from gateways -------------------------------------------------------------------------

    def enqueue(self, request: EnqueueJob, payload: bytes, now_ms: int) -> list[PoolAction]:
        """Take a try of a job. One that is known already changes nothing."""
        out: list[PoolAction] = []
        taken = self.tries.enqueue(request, payload, now_ms, out)
        if taken and taken.worker_id and (worker := self.roster.get(taken.worker_id)):
            worker.holds.setdefault(taken.job.job_id, Hold(taken.job.attempt, now_ms))
        self._assign(now_ms, out)
        return out

    def withdraw(self, request: WithdrawJobs) -> list[PoolAction]:
        """Forget jobs, or their tries up to one."""
        return self.tries.withdraw(request)

    def gateway_beat(
        self, gateway: str, jobs: Iterable[OpenJob], now_ms: int
    ) -> tuple[list[PoolAction], tuple[OpenJob, ...]]:
        """Forget the gateway's jobs that it does not name. Return what it names and is not here."""
        self._heard_ms[gateway] = now_ms
        return self.tries.keep_only(gateway, jobs)

    def drop_silent_gateways(self, now_ms: int) -> list[PoolAction]:
        """Forget the jobs of gateways that have said nothing for too long."""
        out: list[PoolAction] = []
        for name, heard_ms in list(self._heard_ms.items()):
            if now_ms - heard_ms > SILENCE_MS:
                del self._heard_ms[name]
                out += self.tries.keep_only(name, ())[0]
        return out

    # --- from workers --------------------------------------------------------------------------

    def status(self, status: Status, now_ms: int) -> list[PoolAction]:
        """Take any status message."""
        out: list[PoolAction] = []
        if isinstance(status, Heartbeat):
            self._heartbeat(status, now_ms, out)
        elif isinstance(status, Loading):
            self.roster.load(status, now_ms)
        elif worker := self.roster.get(status.worker_id, status.incarnation):
            if isinstance(status, Finished):
                self._finished(status, worker, now_ms, out)
            elif isinstance(status, Refused):
                self._refused(status, worker, out)
            else:
                self._goodbye(status, worker, out)
            self._assign(now_ms, out)
        return out

    def worker_connected(self, worker_id: str, incarnation: str, now_ms: int) -> list[PoolAction]:
        """The job connection to a worker is open."""
        out: list[PoolAction] = []
        if worker := self.roster.get(worker_id, incarnation):
            worker.link = "up"
            self._assign(now_ms, out)
        return out

    def worker_lost(self, worker_id: str, incarnation: str, now_ms: int) -> list[PoolAction]:
        """The job connection to a worker closed."""
        out: list[PoolAction] = []
        if worker := self.roster.get(worker_id, incarnation):
            self._lose_worker(worker, "its connection closed", out)
            self._assign(now_ms, out)
        return out

    def unsent(self, send: Send, now_ms: int) -> list[PoolAction]:
        """A `Send` met a full pipe or no peer: the job never left."""
        out: list[PoolAction] = []
        self.counters.high_water_hits += 1
        job = send.job
        if worker := self.roster.get(send.worker_id, send.incarnation):
            worker.suspect = True
            worker.release(job.job_id, job.attempt)
        self.tries.wait_again(self.tries.at(job.job_id, job.attempt, send.worker_id))
        self._assign(now_ms, out)
        return out

    def tick(self, now_ms: int) -> list[PoolAction]:
        """Time passed. Call about ten times a second."""
        out: list[PoolAction] = []
        last_ms = now_ms if self._last_tick_ms is None else self._last_tick_ms
        if now_ms - last_ms > STALL_MS:
            self.roster.forgive(now_ms - last_ms)
            for name in self._heard_ms:
                self._heard_ms[name] += now_ms - last_ms
        self._last_tick_ms = now_ms
        self._unclaimed_ms -= now_ms - last_ms
        for worker in self.roster.silent(now_ms):
            self._lose_worker(worker, "it fell silent", out)
            self.roster.remove(worker.id)
        for each in self.tries:
            missing = each.worker_id and self.roster.get(each.worker_id) is None
            if missing and now_ms - each.enqueued_ms > SILENCE_MS:
                self.tries.lose(each, f"{each.worker_id} did not come back", out, died=False)
        self._assign(now_ms, out)
        return out

    # --- the course of one worker --------------------------------------------------------------

    def _assign(self, now_ms: int, out: list[PoolAction]) -> None:
        """Give waiting jobs to workers with room."""
        for stage, queue in self.tries.queues.items():
            while queue and (free := self.roster.free_slots(stage)):
                last_free = free == 1 and self.roster.slots(stage) > 1
                for job_id in queue.heads():
                    each = self.tries.get(job_id)
                    if each is None or (last_free and self.tries.holds_back(each, now_ms)):
                        continue
                    if worker := self.roster.pick(stage, each.job):
                        self._send(each, worker, now_ms, out)
                        break
                else:
                    break

    def _send(self, waiting: Try, worker: Worker, now_ms: int, out: list[PoolAction]) -> None:
        self.tries.take(waiting, worker.id)
        job, waited_ms = waiting.job, now_ms - waiting.enqueued_ms
        job = msgspec.structs.replace(
            job,
            budget_ms=max(1, job.budget_ms - waited_ms),
            patience_ms=max(0, job.patience_ms - waited_ms),
        )
        worker.holds[job.job_id] = Hold(attempt=job.attempt, sent_ms=now_ms)
        sent = JobSent(job_id=job.job_id, attempt=job.attempt, worker_id=worker.id)
        out.append(Send(worker.id, worker.incarnation, job, waiting.payload))
        out.append(Tell(job.reply_to, sent))

    def _heartbeat(self, beat: Heartbeat, now_ms: int, out: list[PoolAction]) -> None:
        worker = self._recognise(beat, now_ms, out)
        if worker is None:
            self.counters.drop("ignored_heartbeats", beat.stage)
            return
        worker.announced = beat
        worker.heard_ms = now_ms
        worker.suspect = False
        worker.steps_ms.extend(beat.steps_ms)
        if beat.malformed:
            self.counters.drop("malformed", beat.stage, beat.malformed)
        if worker.link == "down":
            self._connect(worker, out)
        for job_id in worker.reconcile(beat, now_ms):
            if gone := self.tries.at(job_id, 0, worker.id):
                self.tries.release(gone, out)
        self._cancel_unwanted(worker.id, beat.running, out)
        self._find_stuck(worker, now_ms, out)
        self._assign(now_ms, out)

    def _finished(
        self, finished: Finished, worker: Worker, now_ms: int, out: list[PoolAction]
    ) -> None:
        worker.heard_ms = now_ms
        worker.release(finished.job_id, finished.attempt)
        if done := self.tries.at(finished.job_id, finished.attempt, worker.id):
            self.tries.release(done, out)

    def _refused(self, refused: Refused, worker: Worker, out: list[PoolAction]) -> None:
        """A worker did not take a job. It gets no other before its next heartbeat."""
        self.counters.refused += 1
        worker.suspect = True
        worker.release(refused.job_id, refused.attempt)
        unbegun = self.tries.at(refused.job_id, refused.attempt, worker.id)
        if unbegun and refused.reason == "malformed":
            self.tries.reject(unbegun, "malformed_job", f"{worker.id} could not read it", out)
        else:
            self.tries.wait_again(unbegun)

    def _goodbye(self, _: Goodbye, worker: Worker, out: list[PoolAction]) -> None:
        self._lose_worker(worker, "it said goodbye", out, died=False)
        self.roster.remove(worker.id)

    def _recognise(self, beat: Heartbeat, now_ms: int, out: list[PoolAction]) -> Worker | None:
        """Return the worker that a heartbeat is from; None: it is not to be served."""
        if not in_range(beat):
            return None
        known = self.roster.get(beat.worker_id)
        if known and known.incarnation == beat.incarnation:
            return known
        if known and beat.incarnation in known.former:
            self._cancel_unwanted(None, beat.running, out)
            return None
        if known is None and self.roster.full:
            return None
        worker = Worker(beat, now_ms)
        if known:
            self._lose_worker(known, "a new process took its name", out)
            worker.former.extend([*known.former, known.incarnation])
        for presumed in self.tries.held_by(worker.id):
            worker.holds[presumed.job.job_id] = Hold(presumed.job.attempt, now_ms)
        self.roster.add(worker)
        self._connect(worker, out)
        return worker

    def _connect(self, worker: Worker, out: list[PoolAction]) -> None:
        beat = worker.announced
        worker.link = "connecting"
        out.append(Connect(beat.worker_id, beat.incarnation, beat.endpoint, beat.slots))

    def _lose_worker(
        self, worker: Worker, cause: str, out: list[PoolAction], *, died: bool = True
    ) -> None:
        if worker.link != "down":
            worker.link = "down"
            self.counters.workers_lost += died
            self.roster.last_lost[worker.announced.stage] = f"{worker.id} is gone: {cause}"
            out.append(Disconnect(worker.id, worker.incarnation))
        worker.holds.clear()
        # Each goes before the session's others, so the last one taken is served first.
        for held in reversed(self.tries.held_by(worker.id)):
            self.counters.tries_lost += 1
            self.tries.lose(held, f"{worker.id} was lost, {cause}", out, died=died)

    def _find_stuck(self, worker: Worker, now_ms: int, out: list[PoolAction]) -> None:
        for job_id, age_ms in step_ages_ms(worker.announced).items():
            hold, held = worker.holds.get(job_id), self.tries.at(job_id, 0, worker.id)
            if not hold or not held or age_ms <= worker.stuck_ms:
                continue
            if now_ms - hold.sent_ms > worker.stuck_ms:
                self.counters.stuck += 1
                self.counters.tries_lost += 1
                out.append(Cancel((job_id,), through_attempt=held.job.attempt))
                self.tries.lose(held, f"{worker.id} was stuck", out, died=True)

    def _cancel_unwanted(
        self, worker_id: str | None, running: tuple[str, ...], out: list[PoolAction]
    ) -> None:
        """Cancel what a worker runs and nobody waits for, and earlier tries of live jobs."""
        unknown = tuple(job_id for job_id in running if self.tries.get(job_id) is None)
        if unknown and self._unclaimed_ms <= 0:
            self.counters.stale_cancels += len(unknown)
            out.append(Cancel(unknown))
        for job_id in running:
            live = self.tries.get(job_id)
            if live and live.worker_id != worker_id and live.job.attempt > 1:
                self.counters.stale_cancels += 1
                out.append(Cancel((job_id,), through_attempt=live.job.attempt - 1))
