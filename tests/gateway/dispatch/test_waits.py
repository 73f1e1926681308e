"""How long jobs wait, in simulated time: workers take exactly as long as they are told."""

import heapq
import random
from collections.abc import Callable, Sequence

import pytest

from antiphon_gateway.dispatch.actions import Action, Connect, Deliver, Send
from antiphon_gateway.dispatch.request import PATIENCE_MS, Request
from antiphon_gateway.dispatch.reserve import MOST_HELD_BACK_MS, OF_LATE_MS, Reserve
from antiphon_gateway.dispatch.scheduler import Scheduler
from antiphon_proto.messages import Done, Finished, Heartbeat, Result, Synthesize

CLAUSE_MS = 400


class Clockwork:
    """A scheduler, one-slot workers, and the clock."""

    def __init__(self, workers: int) -> None:
        self.now_ms = 0
        self.waits_ms: dict[str, int] = {}
        self._scheduler = Scheduler("gateway-0")
        self._lengths_ms: dict[str, int] = {}
        self._submitted_ms: dict[str, int] = {}
        self._when_done: dict[str, Callable[[], None]] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        for number in range(workers):
            self._beat(f"tts-{number}")

    def after(self, delay_ms: int, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, event))

    def run(self) -> None:
        """Until nothing is left to happen; the scheduler's ticks fall between the events."""
        tick_ms = self.now_ms
        while self._events:
            due_ms = self._events[0][0]
            while tick_ms <= due_ms:
                self.now_ms = tick_ms
                self._perform(self._scheduler.tick(tick_ms))
                for worker in self._scheduler.pool.roster.of_stage("tts"):
                    worker.heard_ms = tick_ms
                tick_ms += 100
            self.now_ms, _, event = heapq.heappop(self._events)
            event()

    def submit(
        self,
        job_id: str,
        session_id: str,
        length_ms: int,
        *,
        urgent: bool = False,
        patience_ms: int = PATIENCE_MS,
        when_done: Callable[[], None] = lambda: None,
    ) -> None:
        self._lengths_ms[job_id] = length_ms
        self._submitted_ms[job_id] = self.now_ms
        self._when_done[job_id] = when_done
        request = Request(
            job_id=job_id,
            session_id=session_id,
            turn_id=1,
            revision=0,
            command=Synthesize(text="Hello.", voice="joe"),
            budget_ms=600_000,
            urgent=urgent,
            patience_ms=patience_ms,
        )
        self._perform(self._scheduler.submit(request, self.now_ms))

    def _beat(self, worker_id: str) -> None:
        beat = Heartbeat(
            worker_id=worker_id,
            incarnation="a",
            stage="tts",
            endpoint="ipc:///run/jobs",
            slots=1,
            engine="simulated",
            model="none",
            pid=1,
        )
        self._perform(self._scheduler.status(beat, self.now_ms))

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Connect):
                connected = self._scheduler.worker_connected
                self._perform(connected(action.worker_id, action.incarnation, self.now_ms))
            elif isinstance(action, Send):
                job_id = action.job.job_id
                self.waits_ms[job_id] = self.now_ms - self._submitted_ms[job_id]
                self.after(self._lengths_ms[job_id], lambda sent=action: self._finish(sent))
            elif isinstance(action, Deliver):
                self._when_done[action.job_id]()

    def _finish(self, sent: Send) -> None:
        job = sent.job
        result = Result(
            job_id=job.job_id,
            session_id=job.session_id,
            turn_id=1,
            revision=0,
            attempt=job.attempt,
            index=0,
            body=Done(engine_ms=1.0),
        )
        self._perform(self._scheduler.result(result, b"", self.now_ms))
        finished = Finished(
            worker_id=sent.worker_id, incarnation="a", job_id=job.job_id, attempt=job.attempt
        )
        self._perform(self._scheduler.status(finished, self.now_ms))


def test_mixed_jobs_of_many_sessions_wait_as_in_one_ideal_central_queue() -> None:
    chance = random.Random(1)
    world, free_ms, ideal_ms, at_ms = Clockwork(4), [0] * 4, [], 0
    for number in range(800):
        at_ms += round(chance.expovariate(0.75 * 4 / 145))
        length_ms = 1_000 if chance.random() < 0.1 else 50
        begin_ms = max(at_ms, heapq.heappop(free_ms))
        heapq.heappush(free_ms, begin_ms + length_ms)
        ideal_ms.append(begin_ms - at_ms)
        job = (f"j{number}", f"s{number}", length_ms)
        world.after(at_ms, lambda job=job: world.submit(*job))
    world.run()
    assert list(world.waits_ms.values()) == ideal_ms
    assert max(ideal_ms) > 500, "nothing had to wait"


def test_nine_light_sessions_hardly_wait_for_a_heavy_one() -> None:
    """Two voices; each answer has an urgent first clause, and is made two clauses at a time."""
    chance, world = random.Random(1), Clockwork(2)
    turns_left = 9 * 20

    def answer(name: str, clauses: int, then: Callable[[], None]) -> None:
        begun = done = 0

        def go_on() -> None:
            nonlocal begun
            while begun < clauses and begun - done < 2:
                first = begun == 0
                begun += 1
                job_id = f"{name} {begun}"
                world.submit(job_id, name.split()[0], CLAUSE_MS, urgent=first, when_done=ended)

        def ended() -> None:
            nonlocal done
            done += 1
            go_on()
            if done == clauses:
                then()

        go_on()

    def light(name: str, turn: int) -> None:
        nonlocal turns_left
        turns_left -= 1
        if turn < 20:
            pause_ms = chance.randint(3_000, 5_000)
            then = lambda: world.after(pause_ms, lambda: light(name, turn + 1))  # noqa: E731
            answer(f"{name} {turn}", 2, then)

    def heavy(turn: int) -> None:
        if turns_left > 0:
            answer(f"heavy {turn}", 12, lambda: world.after(20, lambda: heavy(turn + 1)))

    heavy(0)
    for number in range(9):
        world.after(450 * number, lambda number=number: light(f"light{number}", 1))
    world.run()
    firsts = [
        wait_ms
        for job_id, wait_ms in world.waits_ms.items()
        if job_id.startswith("light") and job_id.endswith(" 1")
    ]
    assert len(firsts) == 9 * 19
    firsts.sort()
    assert firsts[len(firsts) // 2] == 0
    assert firsts[len(firsts) * 9 // 10] <= CLAUSE_MS // 2


def test_the_last_free_slot_is_left_to_others_who_lately_had_someone_waiting() -> None:
    reserve = Reserve()
    assert not reserve.holds_back("a", 1, 0), "nobody else is there"
    reserve.note_urgent("a", 0)
    assert not reserve.holds_back("a", 1, 0), "it has only itself to wait for"
    assert reserve.holds_back("b", 1, OF_LATE_MS)
    assert not reserve.holds_back("b", 1, OF_LATE_MS + 1), "that was long ago"
    assert not reserve.holds_back("b", 0, 0), "it has no patience left"
    reserve.note_urgent("b", 0)
    reserve.note_urgent("a", 0)
    assert reserve.holds_back("a", 1, 0)
    assert reserve.holds_back("b", 1, 0)


@pytest.mark.parametrize(
    ("patience_ms", "waits_ms"),
    [(0, 0), (500, 500), (3_000, 3_000), (60_000, MOST_HELD_BACK_MS)],
)
def test_a_job_leaves_the_last_free_slot_alone_while_it_has_patience(
    patience_ms: int, waits_ms: int
) -> None:
    world = Clockwork(2)
    world.submit("long", "a", 30_000, urgent=True)
    for second in range(1, 15):
        world.after(1_000 * second, lambda n=second: world.submit(f"a {n}", "a", 1, urgent=True))
    world.submit("clause", "b", CLAUSE_MS, patience_ms=patience_ms)
    world.run()
    assert waits_ms <= world.waits_ms["clause"] <= waits_ms + 100
