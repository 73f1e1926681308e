"""The dispatcher, real sockets, and worker processes that are killed and frozen."""

import asyncio
import os
import pickletools
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from antiphon_gateway.dispatch import Dispatcher, EmbeddedDispatcher, Request
from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.messages import AudioDelta, Done, Failed, Heartbeat, Result, Synthesize

pytestmark = pytest.mark.integration
WORKER = Path(__file__).parents[1] / "gateway" / "dispatch" / "plain_worker.py"

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ap-") as name:
        yield Path(name)


@pytest.fixture
def spawn(runtime_dir: Path) -> Iterator[Spawn]:
    """Start a worker process; all end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(
        worker_id: str, samples: int = 2_000, step_ms: int = 10, *, deaf: bool = False
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, WORKER, runtime_dir, worker_id, str(samples), str(step_ms)]
        command += ["deaf"] if deaf else []
        processes.append(subprocess.Popen([str(part) for part in command]))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@asynccontextmanager
async def serving(runtime_dir: Path) -> AsyncIterator[Dispatcher]:
    with Bus(runtime_dir) as bus:
        dispatcher = EmbeddedDispatcher(bus, "gateway-0")
        task = asyncio.ensure_future(dispatcher.run())
        try:
            yield dispatcher
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class Listener:
    """Keeps what was delivered of one job, and lets a test wait for it."""

    def __init__(self) -> None:
        self.pcm = b""
        self.ends: list[Done | Failed] = []
        self._news = asyncio.Event()

    def deliver(self, result: Result, payload: bytes) -> None:
        assert not self.ends
        if isinstance(result.body, AudioDelta):
            self.pcm += payload
        elif isinstance(result.body, Done | Failed):
            self.ends.append(result.body)
        self._news.set()

    @property
    def samples(self) -> list[int]:
        return [int(sample) for sample in np.frombuffer(self.pcm, dtype="<i2")]

    async def some(self) -> None:
        """Wait for the first audio."""
        while not self.pcm:
            await self._next()

    async def end(self) -> Done | Failed:
        """Wait for the terminal result."""
        while not self.ends:
            await self._next()
        return self.ends[0]

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()


def submit(dispatcher: Dispatcher, job_id: str) -> Listener:
    listener = Listener()
    request = Request(
        job_id=job_id,
        session_id="s",
        turn_id=1,
        revision=0,
        command=Synthesize(text="numbers", voice="plain"),
        budget_ms=30_000,
    )
    dispatcher.submit(request, listener.deliver)
    return listener


async def until(dispatcher: Dispatcher, condition: Callable[[], bool]) -> None:
    while not condition():
        await dispatcher.wait_for_change()


def connected(dispatcher: Dispatcher) -> dict[str, int]:
    workers = dispatcher.stages()["tts"].workers
    return {worker.worker_id: worker.pid for worker in workers if worker.connected}


def busy(dispatcher: Dispatcher) -> int:
    workers = dispatcher.stages()["tts"].workers
    return next(worker.pid for worker in workers if worker.outstanding)


async def counted(dispatcher: Dispatcher, counter: str, count: int) -> None:
    while getattr(dispatcher.counters, counter) < count:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)


async def test_a_job_is_done_by_a_worker_that_comes_later(runtime_dir: Path, spawn: Spawn) -> None:
    async with serving(runtime_dir) as dispatcher:
        assert dispatcher.stages()["tts"].reason == "no worker has announced itself"
        listener = submit(dispatcher, "j1")
        worker = spawn("tts-0", step_ms=0)
        assert isinstance(await listener.end(), Done)
        assert listener.samples == list(range(2_000))
        stage = dispatcher.stages()["tts"]
        assert (stage.ready, stage.reason) == (True, "tts-0 is ready")
        assert [facts.pid for facts in stage.workers] == [worker.pid]


async def test_a_killed_worker_costs_no_sample_and_repeats_none(
    runtime_dir: Path, spawn: Spawn
) -> None:
    async with serving(runtime_dir) as dispatcher:
        spawn("tts-0")
        spawn("tts-1")
        await until(dispatcher, lambda: len(connected(dispatcher)) == 2)
        listener = submit(dispatcher, "j1")
        await listener.some()
        os.kill(busy(dispatcher), signal.SIGKILL)
        assert isinstance(await listener.end(), Done)
        assert listener.samples == list(range(2_000))
        assert dispatcher.counters.reissued == 1
        assert dispatcher.counters.workers_lost == 1


async def test_a_killed_worker_is_seen_by_its_connection(runtime_dir: Path, spawn: Spawn) -> None:
    async with serving(runtime_dir) as dispatcher:
        worker = spawn("tts-0")
        await until(dispatcher, lambda: bool(connected(dispatcher)))
        worker.kill()
        await until(dispatcher, lambda: not connected(dispatcher))
        # One that fell silent would be forgotten altogether.
        assert [facts.connected for facts in dispatcher.stages()["tts"].workers] == [False]


async def test_a_stalled_worker_holds_no_more_jobs_than_its_slots(
    runtime_dir: Path, spawn: Spawn
) -> None:
    async with serving(runtime_dir) as dispatcher:
        spawn("tts-0", step_ms=0)
        spawn("tts-1", step_ms=0)
        await until(dispatcher, lambda: len(connected(dispatcher)) == 2)
        stalled = next(w for w in dispatcher.stages()["tts"].workers if w.worker_id == "tts-0")
        os.kill(stalled.pid, signal.SIGSTOP)
        listeners = [submit(dispatcher, f"j{number}") for number in range(60)]
        held: set[int] = set()
        while sum(bool(listener.ends) for listener in listeners) < 59:
            workers = dispatcher.stages()["tts"].workers
            held |= {w.outstanding for w in workers if w.worker_id == "tts-0"}
            await asyncio.sleep(0.01)
        assert max(held) <= 1
        assert dispatcher.counters.high_water_hits == 0
        os.kill(stalled.pid, signal.SIGCONT)
        for listener in listeners:
            assert isinstance(await listener.end(), Done)
            assert listener.samples == list(range(2_000))


async def test_a_restarted_worker_goes_on_with_the_job(runtime_dir: Path, spawn: Spawn) -> None:
    async with serving(runtime_dir) as dispatcher:
        worker = spawn("tts-0")
        listener = submit(dispatcher, "j1")
        await listener.some()
        worker.kill()
        spawn("tts-0")
        assert isinstance(await listener.end(), Done)
        assert listener.samples == list(range(2_000))


async def test_the_late_results_of_a_frozen_worker_are_dropped(
    runtime_dir: Path, spawn: Spawn
) -> None:
    async with serving(runtime_dir) as dispatcher:
        # They hear no cancellation, so the thawed one says all that it still has to say.
        spawn("tts-0", deaf=True)
        spawn("tts-1", deaf=True)
        await until(dispatcher, lambda: len(connected(dispatcher)) == 2)
        listener = submit(dispatcher, "j1")
        await listener.some()
        frozen = busy(dispatcher)
        os.kill(frozen, signal.SIGSTOP)
        assert isinstance(await listener.end(), Done)
        os.kill(frozen, signal.SIGCONT)
        await until(dispatcher, lambda: len(connected(dispatcher)) == 2)
        await counted(dispatcher, "fenced", 1)
        again = submit(dispatcher, "j2")
        assert isinstance(await again.end(), Done)
        assert listener.samples == list(range(2_000))
        assert again.samples == list(range(2_000))
        assert dispatcher.counters.workers_lost == 1


async def test_after_cancel_nothing_comes_and_the_worker_is_free(
    runtime_dir: Path, spawn: Spawn
) -> None:
    async with serving(runtime_dir) as dispatcher:
        spawn("tts-0", samples=30_000, step_ms=50)
        listener = submit(dispatcher, "endless")
        await listener.some()
        dispatcher.cancel(["endless"])
        heard = len(listener.pcm)
        following = submit(dispatcher, "j2")
        await following.some()
        assert len(listener.pcm) == heard
        assert listener.ends == []


async def test_a_new_dispatcher_finds_the_workers(runtime_dir: Path, spawn: Spawn) -> None:
    spawn("tts-0")
    async with serving(runtime_dir) as first:
        await submit(first, "lost").some()
    async with serving(runtime_dir) as second:
        listener = submit(second, "j1")
        assert isinstance(await listener.end(), Done)
        assert listener.samples == list(range(2_000))


async def test_garbage_is_counted_and_service_goes_on(runtime_dir: Path, spawn: Spawn) -> None:
    canary = runtime_dir / "canary"
    make_canary = f"cposix\nmkdir\n(V{canary}\ntR.".encode()
    assert {opcode.name for opcode, _, _ in pickletools.genops(make_canary)} >= {"REDUCE", "STOP"}
    async with serving(runtime_dir) as dispatcher:
        with Bus(runtime_dir) as bus:
            for name in ("gateway-0.results", "gateway-0.status"):
                sender = bus.push(bus.endpoint(name), hwm=1_000)
                sender.connect()
                assert await sender.writable(5_000)
                for head in (make_canary, b"", b"\1", b"\1\x90", os.urandom(64)):
                    assert sender.send((head, b"payload"))
            spawn("tts-0", step_ms=0)
            listener = submit(dispatcher, "j1")
            assert isinstance(await listener.end(), Done)
        await counted(dispatcher, "malformed", 10)
        assert not canary.exists()


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://127.0.0.1:9",
        "ipc:///etc/w.a.jobs",
        "ipc://{dir}/../w.a.jobs",
        "ipc://{dir}/gateway-0.results",
        "ipc://@w.a.jobs",
        "ipc://{dir}/" + 200 * "w" + ".jobs",
    ],
)
async def test_an_endpoint_elsewhere_is_not_honoured(runtime_dir: Path, endpoint: str) -> None:
    beat = Heartbeat(
        worker_id="tts-0",
        incarnation="a",
        stage="tts",
        endpoint=endpoint.format(dir=runtime_dir),
        slots=1,
        engine="none",
        model="none",
        pid=1,
    )
    async with serving(runtime_dir) as dispatcher:
        with Bus(runtime_dir) as bus:
            sender = bus.push(bus.endpoint("gateway-0.status"), hwm=10)
            sender.connect()
            assert await sender.writable(5_000)
            assert sender.send(codec.encode(beat))
            await counted(dispatcher, "malformed", 1)
        assert dispatcher.stages()["tts"].workers == ()


async def test_a_refused_job_is_told_after_submit_returns(runtime_dir: Path) -> None:
    async with serving(runtime_dir) as dispatcher:
        listener = Listener()
        request = Request(
            job_id="big",
            session_id="s",
            turn_id=1,
            revision=0,
            command=Synthesize(text="x" * 2_000_000, voice="plain"),
            budget_ms=1_000,
        )
        dispatcher.submit(request, listener.deliver)
        assert listener.ends == []
        end = await listener.end()
        assert isinstance(end, Failed)
        assert end.code == "job_too_large"


async def test_what_a_deliver_raises_harms_no_other_job(runtime_dir: Path, spawn: Spawn) -> None:
    raised: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    async with serving(runtime_dir) as dispatcher:

        def broken(result: Result, payload: bytes) -> None:
            raise LookupError

        request = Request(
            job_id="j1",
            session_id="s",
            turn_id=1,
            revision=0,
            command=Synthesize(text="numbers", voice="plain"),
            budget_ms=30_000,
        )
        spawn("tts-0", step_ms=0)
        dispatcher.submit(request, broken)
        assert isinstance(await submit(dispatcher, "j2").end(), Done)
    assert {type(error) for error in raised} == {LookupError}
