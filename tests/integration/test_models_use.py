"""`antiphon models use` on a running server: another language model, the same session."""

import asyncio
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import model_servers
import pytest
from ports import free_port
from system_client import connected

from antiphon_proto.config import child_environment
from antiphon_proto.errors import StartupError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough,
    pytest.mark.models,
    pytest.mark.timeout(240),
]

ANTIPHON = Path(sysconfig.get_path("scripts")) / "antiphon"


class Up(NamedTuple):
    """A server that `antiphon up` runs, and the flags that name it."""

    port: int
    flags: list[str]

    def use(self, name: str, *settings: str) -> "subprocess.CompletedProcess[str]":
        extra = [part for setting in settings for part in ("--set", setting)]
        return subprocess.run(
            [ANTIPHON, "models", "use", name, *self.flags, *extra],
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(params=["supervisord", "builtin"])
def up(request: pytest.FixtureRequest) -> Iterator[Up]:
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    port = free_port()
    flags = [f"bus.runtime_dir={directory}", f"gateway.port={port}"]
    flags = [part for flag in flags for part in ("--set", flag)]
    command = [ANTIPHON, "up", "--simulated", "--supervise", request.param, *flags]
    with subprocess.Popen(
        command, env=child_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                if "Ready" in line:
                    break
            yield Up(port, flags)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def models() -> model_servers.ModelServer:
    try:
        return model_servers.shared()
    except StartupError as exc:
        pytest.skip(str(exc))


async def test_a_session_goes_on_with_another_model_and_with_the_old_one_when_that_fails(
    up: Up, models: model_servers.ModelServer
) -> None:
    url = f"llm.url={models.ollama}"
    async with connected(f"ws://127.0.0.1:{up.port}/v1/realtime") as client:
        await client.text_only()
        await client.say_text("What is the capital of France?")
        assert (await client.done())["status"] == "completed"
        assert "This tone is the answer" in client.reply_deltas

        switched = await asyncio.to_thread(up.use, f"ollama:{model_servers.CHAT}", url)
        assert switched.returncode == 0, switched.stderr
        assert 'engine = "ollama"' in switched.stdout
        before = len(client.reply_deltas)
        await client.say_text("What is the capital of France?")
        assert (await client.done())["status"] in ("completed", "incomplete")
        assert "Paris" in client.reply_deltas[before:]

        refused = await asyncio.to_thread(up.use, f"ollama:{model_servers.EMBEDDING}", url)
        assert refused.returncode == 2
        assert "no chat model" in refused.stderr
        before = len(client.reply_deltas)
        await client.say_text("What is the capital of France?")
        assert (await client.done())["status"] in ("completed", "incomplete")
        assert "Paris" in client.reply_deltas[before:]


def test_without_a_server_it_says_what_to_write(models: model_servers.ModelServer) -> None:
    with tempfile.TemporaryDirectory(prefix="antiphon-") as directory:
        nobody = Up(0, ["--set", f"bus.runtime_dir={directory}"])
        told = nobody.use(f"ollama:{model_servers.CHAT}", f"llm.url={models.ollama}")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("No server runs")
    assert f'model = "{model_servers.CHAT}"' in told.stdout


def test_the_help_says_how() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "antiphon", "models", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "antiphon models use ollama:" in shown.stdout
