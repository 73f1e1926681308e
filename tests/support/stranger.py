"""What a stranger does: each example and command of the documents, in an empty folder of its own.

Every program of examples/README.md gets a fresh virtual environment or npm folder, with what the
line there says and nothing else; the commands of docs/api.md run in one folder. All talk with
`antiphon up` on this machine, with the embedded models.
"""

import argparse
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from antiphon_proto.audio import Resampler, read_wav, wav_bytes

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "examples" / "README.md"
QUESTION = ROOT / "tests" / "data" / "speech" / "dog_or_cat.wav"
AS_PRINTED = "localhost:8080"
RATE_HZ = 24_000
_ROW = re.compile(r"^\| \[`(\S+\.m?[jp][sy])`\].*?\| (.*?) \| `(.*?)` \|$", re.MULTILINE)
_NEED = re.compile(r"`((?:pip|npm) install .*?)`")


class Example(NamedTuple):
    """A program, what its row says to install, and how to run it."""

    program: str
    install: str
    run: str


def examples() -> list[Example]:
    """Return the programs that examples/README.md lists."""
    found = []
    for program, needs, run in _ROW.findall(PAGE.read_text(encoding="utf-8")):
        install = _NEED.search(needs)
        assert install is not None, f"{PAGE}: {program} names no package"
        found.append(Example(program, install[1], run))
    return found


def commands() -> list[str]:
    """Return the commands of docs/api.md, in order."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


def shell(command: str, folder: Path, timeout_s: float = 600) -> str:
    """Run a command of the documents; return what it printed. Raises CalledProcessError."""
    ran = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if ran.returncode:
        raise subprocess.CalledProcessError(ran.returncode, command, ran.stdout, ran.stderr)
    return ran.stdout


def try_example(example: Example, folder: Path, port: int) -> str:
    """Install what a program needs, run it, and return what it printed."""
    source = (ROOT / "examples" / example.program).read_text(encoding="utf-8")
    assert AS_PRINTED in source
    (folder / example.program).write_text(source.replace(AS_PRINTED, f"localhost:{port}"))
    pcm, rate = read_wav(QUESTION)
    pcm = Resampler(rate, RATE_HZ).feed(pcm, last=True)
    (folder / "question.wav").write_bytes(wav_bytes(pcm, RATE_HZ))
    run = example.run
    if example.install.startswith("pip"):
        shell(f"{sys.executable} -m venv venv", folder)
        where = ROOT if example.install == "pip install ." else folder
        shell(f". {folder}/venv/bin/activate; {example.install}", where)
        run = f". venv/bin/activate; {run}"
    else:
        shell(example.install, folder)
    said = shell(run, folder, timeout_s=120)
    reply, rate = read_wav(folder / "reply.wav")
    assert any(reply), "the reply is silent"
    assert len(reply) > rate, f"the reply has {len(reply) // 2} samples"
    return said


def try_commands(folder: Path, port: int) -> str:
    """Run the commands of docs/api.md; fail when one says nothing and makes no file."""
    before: set[Path] = set()
    for command in commands():
        said = shell(command.replace(AS_PRINTED, f"localhost:{port}"), folder, timeout_s=120)
        made = set(folder.iterdir()) - before
        assert said.strip() or made, command
        assert '"error"' not in said, said
        before |= made
    return f"{len(commands())} commands"


@contextlib.contextmanager
def server(port: int, *flags: str) -> Iterator[None]:
    """Run `antiphon up` until it is ready, and stop it after the block."""
    directory = tempfile.mkdtemp(prefix="antiphon-")
    command = [sys.executable, "-m", "antiphon", "up", "--port", str(port), *flags]
    command += ["--set", f"bus.runtime_dir={directory}/run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not any(line.startswith("Ready") for line in process.stdout):
                raise SystemExit(f"antiphon up did not start; is port {port} taken?")
            yield
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Try everything; return how much failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--only", default="", help="part of a program's name, or: commands")
    arguments = parser.parse_args()
    trials = {one.program: lambda at, one=one: try_example(one, at, port) for one in examples()}
    trials["commands"] = lambda at: try_commands(at, port)
    port, failed = arguments.port, 0
    with server(port):
        for name, trial in trials.items():
            if arguments.only not in name:
                continue
            began_s = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="stranger-") as folder:
                try:
                    said = trial(Path(folder))
                    verdict = "ok     " + " | ".join(said.split("\n"))[:160]
                except (AssertionError, OSError, subprocess.SubprocessError) as exc:
                    detail = getattr(exc, "stderr", "") or ""
                    verdict, failed = f"FAILED {exc} {detail[-600:]}", failed + 1
            print(f"{name:22} {time.monotonic() - began_s:5.0f} s  {verdict}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
