"""A whole server for tests: gateway and workers as real processes on a port of their own."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ports import free_port

from antiphon_proto.config import child_environment
from antiphon_proto.messages import STAGES

_BIN = Path(sysconfig.get_path("scripts"))
_POLL_S = 0.05
_STOP_S = 20.0
GATEWAY = "gateway"
DISPATCHER = "dispatcher"
SUBMITTED = 'antiphon_dispatch_events_total{event="submitted"}'
JOB_ENDS = ("job done", "job failed", "engine raised")
"""What a worker logs at the end of a job that was not cancelled; the first with `DEBUG` alone."""
SIMULATED = {f"{stage}.engine": "simulated" for stage in STAGES}
ONE_EACH = {"stt": 1, "llm": 1, "tts": 1}


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class System:
    """One gateway and its workers. Names are `gateway`, `stt-0`, `tts-1` and so on."""

    def __init__(self, directory: Path, settings: Mapping[str, object] | None = None) -> None:
        self.directory = directory
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.exit_codes: dict[str, list[int]] = {}
        self.settings = {
            "bus.runtime_dir": directory / "run",
            "gateway.port": self.port,
            **(settings or {}),
        }
        self.environment = child_environment()
        self.through: list[str] = []
        """A program, with its arguments, that runs the processes' commands."""
        self.arguments: list[str] = []
        """Further arguments of the processes."""

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def realtime_url(self) -> str:
        """Where the sessions are."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    # --- processes -------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start processes. One that ran before is started again, as a supervisor would."""
        for name in names:
            old = self.processes.get(name)
            assert old is None or old.poll() is not None, f"{name} is running"
            flags = [f"{key}={value}" for key, value in self.settings.items()]
            command = [*self.through, *_command(name)]
            command += [part for flag in flags for part in ("--set", flag)]
            command += self.arguments
            with self.log_file(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """Kill a process at once, and reap it."""
        self.processes[name].kill()
        self.processes[name].wait(_STOP_S)

    def wait_ended(self, name: str) -> int:
        """Wait until a process has ended; return its exit code."""
        return self.processes[name].wait(_STOP_S)

    def pid(self, name: str) -> int:
        """Return the process id."""
        return self.processes[name].pid

    def stop(self) -> None:
        """Stop every process in good order; kill what does not stop. SIGSTOP is undone first."""
        running = [process for process in self.processes.values() if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in running:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    # --- what it says ----------------------------------------------------------------------

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, port: int | None = None
    ) -> Answer | None:
        """Return the answer to a GET; None when nobody listens."""
        return ask(("127.0.0.1", port or self.port), path, headers or {})

    def metric(self, name: str) -> float:
        """Return a value of `/metrics`, by its name with its labels. Raises TimeoutError."""
        if (answer := self.get("/metrics")) is None:
            raise TimeoutError("/metrics did not answer")
        [value] = re.findall(rf"^{re.escape(name)} (\S+)$", answer.body.decode(), re.MULTILINE)
        return float(value)

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until `/readyz` answers 200; fail with the logs when a process ends before."""
        self.wait_for(self.is_ready, timeout_s)

    def is_ready(self) -> bool:
        """Tell whether `/readyz` answers 200."""
        answer = self.get("/readyz")
        return answer is not None and answer.status == 200

    def wait_not_ready(self, stage: str, timeout_s: float = 15.0) -> str:
        """Wait until `/readyz` says that a stage cannot work; return the reason."""
        state: dict[str, Any] = {}

        def gone() -> bool:
            answer = self.get("/readyz")
            state.update(answer.json()["stages"][stage] if answer else {})
            return state.get("ready") is False

        self.wait_for(gone, timeout_s, everyone_lives=False)
        return str(state["reason"])

    def wait_for(
        self, condition: Callable[[], bool], timeout_s: float, *, everyone_lives: bool = True
    ) -> None:
        """Poll until a condition holds; fail with the logs when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if everyone_lives and ended:
                raise AssertionError(f"{', '.join(ended)} ended\n{self.logs()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_s:g} s\n{self.logs()}")
            time.sleep(_POLL_S)

    def log_file(self, name: str) -> Path:
        """Return where a process writes."""
        return self.directory / f"{name}.log"

    def log(self, name: str) -> str:
        """Return what a process has written."""
        path = self.log_file(name)
        return path.read_text() if path.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the JSON lines that a process has logged."""
        return [json.loads(line) for line in self.log(name).splitlines() if line.startswith("{")]

    def start_with_told_jobs(self, *workers: str) -> None:
        """Start a gateway and workers that log each job's end; wait until they are ready."""
        self.start(GATEWAY)
        # Of the gateway it would be every request that is none, with its traceback.
        self.settings["log.level"] = "DEBUG"
        self.start(*workers)
        self.wait_ready()

    def job_ends(self) -> list[dict[str, Any]]:
        """Return what workers have logged of the jobs that ended; needs `start_with_told_jobs`."""
        workers = [name for name in self.processes if name.partition("-")[0] in STAGES]
        lines = (event for name in workers for event in self.events(name))
        return [event for event in lines if event["event"] in JOB_ENDS]

    def strangers_jobs(self) -> int:
        """Return how many of these jobs are of no session that the gateway opened."""
        opened = [event for event in self.events(GATEWAY) if event["event"] == "session opened"]
        sessions = {event["session_id"] for event in opened}
        return sum(event["session_id"] not in sessions for event in self.job_ends())

    def logs(self) -> str:
        """Return what all processes have written."""
        return "\n".join(f"--- {name}\n{self.log(name)}" for name in self.processes)

    def assert_no_traceback(self) -> None:
        """Fail when any process has logged an exception."""
        assert "traceback" not in self.logs().lower(), self.logs()


@contextlib.contextmanager
def running_system(
    settings: Mapping[str, object] | None = None,
    *,
    workers: Mapping[str, int] = ONE_EACH,
    ready_within_s: float = 60.0,
) -> Iterator[System]:
    """Start a server, wait until it is ready, and stop it after the block."""
    with system(settings) as server:
        server.start(GATEWAY, *worker_names(workers))
        if workers:
            server.wait_ready(ready_within_s)
        yield server


@contextlib.contextmanager
def system(settings: Mapping[str, object] | None = None) -> Iterator[System]:
    """Give a server of which nothing runs yet, in a short path, which sockets need."""
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    server = System(directory, settings)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def worker_names(workers: Mapping[str, int]) -> list[str]:
    """Return the names of so many workers a stage."""
    return [f"{stage}-{index}" for stage, count in workers.items() for index in range(count)]


def ask(place: tuple[str, int], path: str, headers: Mapping[str, str]) -> Answer | None:
    """Return the answer to a GET; None when nobody listens."""
    connection = http.client.HTTPConnection(*place, timeout=5)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def children(pid: int) -> list[int]:
    """Return the ids of the children of a process's main thread (Linux)."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not (Linux)."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def _command(name: str) -> list[str]:
    if name == DISPATCHER:
        return [str(_BIN / "antiphon-dispatcher")]
    stage, _, index = name.partition("-")
    if stage == GATEWAY:
        return [str(_BIN / "antiphon-gateway"), "--index", index or "0"]
    return [str(_BIN / "antiphon-worker"), stage, "--index", index]
