"""A virtual environment whose `antiphon-gateway` and `antiphon-worker` are small stand-ins.

Their behaviour is set by files in `control/`: `fail-NAME` (say this text, exit 2), `crash-NAME`
(exit 1 after this text), `stubborn-NAME` (ignore SIGTERM), `slow-NAME` (never get ready).
NAME is `gateway`, `stt-0` and so on. Each process that starts appends its id to `pids`.
"""

import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port

_COMMON = """\
#!{python}
import argparse, http.server, json, os, signal, sys, time
from pathlib import Path
from antiphon_proto import config
parser = argparse.ArgumentParser()
parser.add_argument("stage", nargs="?")
parser.add_argument("--index", default="")
config.add_arguments(parser)
arguments = parser.parse_args()
settings = config.from_arguments(arguments)
name = f"{{arguments.stage}}-{{arguments.index}}" if arguments.stage else "gateway"
control = Path({control!r})
with open(control.parent / "pids", "a") as stream:
    stream.write(f"{{name}} {{os.getpid()}}\\n")
def rule(kind):
    path = control / f"{{kind}}-{{name}}"
    return path.read_text() if path.exists() else None
for kind, code in (("fail", 2), ("crash", 1)):
    if (text := rule(kind)) is not None:
        sys.stderr.write(text + "\\n")
        sys.exit(code)
if rule("stubborn") is None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""

_WORKER = """\
if rule("slow") is None:
    (control / f"ready-{name}").touch()
print(json.dumps({"event": "worker stands in", "temperature": settings.llm.temperature}))
while True:
    time.sleep(60)
"""

_GATEWAY = """\
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        stages = {}
        for stage in ("stt", "llm", "tts"):
            ready = bool(list(control.glob(f"ready-{stage}-*")))
            stages[stage] = {"ready": ready, "reason": "" if ready else "loading the model"}
        ready = all(item["ready"] for item in stages.values())
        body = json.dumps({"ready": ready, "stages": stages}).encode()
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
address = (settings.gateway.host, settings.gateway.port)
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


class StandIns:
    """One such environment with a port and a runtime directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.supervisor = "supervisord"
        self.control = root / "control"
        self.runtime_dir = root / "run"
        self.port = free_port()
        (root / "bin").mkdir()
        self.control.mkdir()
        real = Path(sys.prefix)
        shutil.copy(real / "pyvenv.cfg", root / "pyvenv.cfg")
        (root / "lib").symlink_to(real / "lib")
        self.python = root / "bin" / "python"
        self.python.symlink_to(sys.executable)
        common = _COMMON.format(python=sys.executable, control=str(self.control))
        for name, body in (("antiphon-gateway", _GATEWAY), ("antiphon-worker", _WORKER)):
            script = root / "bin" / name
            script.write_text(common + body)
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def rule(self, kind: str, name: str, text: str = "") -> None:
        """Set the behaviour of one process."""
        (self.control / f"{kind}-{name}").write_text(text)

    def up(self, *flags: str, port: int | None = None) -> "subprocess.Popen[str]":
        """Start `antiphon up`, its output in one pipe."""
        command = [str(self.python), "-m", "antiphon", "up", "--port", str(port or self.port)]
        command += ["--supervise", self.supervisor]
        command += ["--set", f"bus.runtime_dir={self.runtime_dir}", *flags]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def started(self) -> list[tuple[str, int]]:
        """Return name and id of every program process ever started here."""
        path = self.root / "pids"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(name, int(pid)) for name, pid in (line.split() for line in lines)]

    def once_started(self, *names: str) -> dict[str, int]:
        """Return the programs' processes when these are among them.

        The stand-in of the gateway says that all are ready, whether the others have begun or not.
        """
        deadline_s = time.monotonic() + 20
        while not set(names) <= dict(self.started()).keys():
            assert time.monotonic() < deadline_s, f"started: {self.started()}"
            time.sleep(0.05)
        return dict(self.started())

    def running(self) -> list[str]:
        """Return the names of the program processes that still run."""
        return [name for name, pid in self.started() if is_running(pid)]


@contextmanager
def stand_ins() -> Iterator[StandIns]:
    """Give an environment in a short path, which sockets need; it leaves no process behind."""
    with tempfile.TemporaryDirectory(prefix="antiphon-") as name:
        yield StandIns(Path(name))


def is_running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]
