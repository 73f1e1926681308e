"""`antiphon up`: run the whole server on this machine until it is stopped."""

import argparse
import contextlib
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from antiphon import (
    lan,
    llm_notice,
    programs,
    readiness,
    runtime_dir,
    simulated_server,
    topology_file,
)
from antiphon.log_files import Tail, last_error
from antiphon.placement import Deployment, Worker
from antiphon.process_state import ProcessState
from antiphon.stop_requests import StopRequests
from antiphon.supervisor import SUPERVISORS
from antiphon.supervisor_link import read_deployment
from antiphon_proto import config
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

DESCRIPTION = """\
Start the gateway and the workers, wait until their models are loaded, print the page's address.
Programs that end are started again. Ctrl-C stops everything.

  antiphon up
  antiphon up --port 9000 --verbose
  antiphon up --set stt.processes=2 --set llm.model=/models/other.gguf
  antiphon up --lan              also for the phones and laptops of this network
  antiphon up --config antiphon.toml
  antiphon up --simulated        without any model: test microphone, network and loudspeaker
"""

STARTING_POLL_S = 0.1
RUNNING_POLL_S = 0.5
EXIT_CANNOT_START = 2
"""Exit code of our programs when something they need is missing."""
MAX_ENDS_WHILE_STARTING = 3
"""A program that ended this often before the server was ready will not get better by itself."""
STOP_MARGIN_S = 5
"""How much longer than its programs the supervisor may take to stop."""
PATIENCE_S = 1.0
"""How long a person at the terminal waits for turns in progress to finish."""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon up`."""
    parser = commands.add_parser(
        "up",
        help="start the server",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", help="same as --set gateway.port=PORT")
    parser.add_argument("--host", help="same as --set gateway.host=HOST")
    parser.add_argument(
        "--simulated", action="store_true", help="run no model; every answer is a 440 Hz tone"
    )
    parser.add_argument(
        "--lan",
        action="store_true",
        help="let other devices of this network in, with TLS and a key",
    )
    parser.add_argument(
        "--behind-proxy", action="store_true", help="same as --set gateway.behind_proxy=true"
    )
    parser.add_argument(
        "--supervise",
        choices=tuple(SUPERVISORS),
        help="same as --set supervision.supervisor=NAME",
    )
    parser.add_argument(
        "--topology", metavar="FILE", help="same as --set supervision.topology=FILE"
    )
    parser.add_argument("--verbose", action="store_true", help="show the programs' logs")
    config.add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.simulated:
        arguments.settings[:0] = simulated_server.SETTINGS
    for name in ("port", "host"):
        if (value := getattr(arguments, name)) is not None:
            arguments.settings.append(f"gateway.{name}={value}")
    if arguments.behind_proxy:
        arguments.settings.append("gateway.behind_proxy=true")
    if arguments.supervise is not None:
        arguments.settings.append(f"supervision.supervisor={arguments.supervise}")
    if arguments.topology is not None:
        arguments.settings.append(f"supervision.topology={arguments.topology}")
    settings = config.from_arguments(arguments)
    if arguments.lan:
        settings = lan.prepare(settings)
    notices = [lan.notice(settings.lan)] if arguments.lan else []
    if simulated_server.is_simulated(settings):
        notices.append(simulated_server.NOTICE)
    else:
        notices += llm_notice.lines(settings)
    bin_dir = Path(sys.executable).parent
    return run(settings, bin_dir=bin_dir, verbose=arguments.verbose, notices=notices)


def run(
    settings: Config, *, bin_dir: Path, verbose: bool = False, notices: Sequence[str] = ()
) -> int:
    """Run the server with the programs in `bin_dir` until a signal or the end of the terminal.

    `notices` are printed below the address, once it is ready.

    Returns 0 when it was stopped while serving, 128 + signal when stopped before it was ready.
    Raises StartupError when it cannot start.
    """
    settings, deployment = topology_file.settled(settings)
    requests = StopRequests()
    directory = settings.bus.directory.absolute()
    with runtime_dir.claimed(directory, lambda: requests.count > 0) as lock:
        runtime_dir.check_port(settings.gateway)
        for address in settings.lan.addresses:
            runtime_dir.check_lan_port(address, settings.lan.port)
        names = [program.name for program in programs.programs(settings, deployment)]
        _say(f"Starting {', '.join(names)}; logs are in {directory / 'logs'}")
        server = _Server(settings, directory, requests, verbose=verbose)
        server.start(deployment, bin_dir, lock)
        try:
            if not server.wait_until_ready():
                return 128 + requests.last_signal
            for text in notices:
                _say(text)
            server.serve()
            return 0
        finally:
            server.stop()


class _Server:
    def __init__(
        self,
        settings: Config,
        directory: Path,
        requests: StopRequests,
        *,
        verbose: bool,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._requests = requests
        self._processes: Mapping[str, ProcessState] = {}
        self._starts: dict[str, int] = {}
        self._workers: dict[str, Worker | None] = {}
        self._verbose = verbose
        self._tails: dict[str, Tail] = {}

    def start(self, deployment: Deployment, bin_dir: Path, lock: int) -> None:
        kind = SUPERVISORS[self._settings.supervision.supervisor]
        self._supervisor = kind(self._settings, deployment, self._directory, bin_dir, lock)

    def wait_until_ready(self) -> bool:
        """Show progress until the server is ready; False when asked to stop before."""
        began = time.monotonic()
        shown: dict[str, str] = {}
        while not self._requests.count:
            self._observe(starting=True)
            answer = readiness.ask(self._settings.gateway)
            if answer and answer.ready:
                self._show_ready(time.monotonic() - began)
                return True
            for stage, state in answer.stages.items() if answer else ():
                reason = re.sub(r" \(\d+ s\)$", "", state.reason)  # a count of seconds repeats it
                text = "ready" if state.ready else reason or "loading"
                if shown.get(stage) != text:
                    shown[stage] = text
                    _say(f"  {stage}: {text}")
            time.sleep(STARTING_POLL_S)  # no event loop: only signals and files are watched
        return False

    def serve(self) -> None:
        """Show what ends and is started again, until asked to stop."""
        while not self._requests.count:
            self._observe(starting=False)
            time.sleep(RUNNING_POLL_S)  # no event loop: only signals and files are watched

    def stop(self) -> None:
        """End every process: in good order, at once on the next signal or when it takes long."""
        asked = self._requests.count
        began = time.monotonic()
        deadline = began + programs.stop_wait_s(self._settings) + STOP_MARGIN_S
        if self._supervisor.alive and asked:
            _say("\nStopping; Ctrl-C again stops at once")
        states = self._supervisor.processes().values()
        gateways = [state for state in states if state.name.startswith(programs.GATEWAY)]
        impatient = self._requests.last_signal != signal.SIGTERM
        self._supervisor.terminate()
        while self._supervisor.alive:
            if impatient and time.monotonic() - began > PATIENCE_S:
                for gateway in gateways:
                    self._supervisor.hurry(gateway)
                impatient = False
            if self._requests.count > asked or time.monotonic() > deadline:
                self._supervisor.kill()
            self._show_logs()
            time.sleep(STARTING_POLL_S)  # no event loop: only signals and files are watched
        self._show_logs()

    def _observe(self, *, starting: bool) -> None:
        """Notice processes that ended. Raises StartupError when going on makes no sense."""
        self._show_logs()
        if not self._supervisor.alive:
            reason = self._supervisor.output().splitlines()[-1:] or ["it gave no reason"]
            raise StartupError(f"the supervisor ended: {reason[0]}")
        before, self._processes = self._processes, self._supervisor.processes() or self._processes
        for name, state in self._processes.items():
            if state.started and (name not in before or state.started != before[name].started):
                self._know(name)
                self._starts[name] = self._starts.get(name, 0) + 1
                if self._starts[name] > 1 and not starting:
                    _say(f"  {name} ended and was started again")
            if starting:
                self._check_start(state)
        for gone in before.keys() - self._processes.keys():
            self._starts.pop(gone, None)

    def _know(self, name: str) -> None:
        """Count the starts of a name anew when another worker has it, after a swap."""
        workers = read_deployment(self._directory).workers
        worker = next((worker for worker in workers if worker.name == name), None)
        if worker != self._workers.get(name):
            self._workers[name] = worker
            self._starts.pop(name, None)

    def _check_start(self, state: ProcessState) -> None:
        hopeless = not state.running and state.exit_code == EXIT_CANNOT_START
        ends = self._starts.get(state.name, 0) - state.running
        if hopeless or ends >= MAX_ENDS_WHILE_STARTING:
            log = programs.log_file(self._directory, state.name)
            reason = last_error(log) or "it gave no reason"
            raise StartupError(f"{state.name} cannot start: {reason} (its log: {log})")

    def _show_ready(self, took_s: float) -> None:
        gateway = self._settings.gateway
        address = readiness.page_address(gateway)
        _say(f"Ready after {took_s:.1f} s. Open {address}   (Ctrl-C stops)")

    def _show_logs(self) -> None:
        for name in self._processes if self._verbose else ():
            self._tails.setdefault(name, Tail(programs.log_file(self._directory, name)))
        for name, tail in self._tails.items():
            for line in tail.new_lines():
                _say(f"{name} | {line}")


def _say(text: str) -> None:
    """Print a line; a server whose terminal has gone still serves and still stops well."""
    with contextlib.suppress(OSError):
        print(text, flush=True)
