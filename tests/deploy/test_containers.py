"""The Dockerfile and the compose files, as far as they can be tried without a container engine."""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerfile import copied, stages
from ports import free_port
from source_tree import ROOT
from system import SIMULATED

from antiphon_proto.config import load
from antiphon_proto.messages import STAGES

BIN = Path(sysconfig.get_path("scripts"))
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"
CUDA = ROOT / "deploy" / "compose.cuda.yaml"
RUNTIME_DIR = "/run/antiphon"
ROLES = {
    "gateway": ["antiphon-gateway"],
    **{stage: ["antiphon-worker", stage] for stage in STAGES},
}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="hadolint and Docker Compose are installed on Linux only"
)


def composed(*files: Path) -> dict[str, Any]:
    """Return the project that Docker Compose reads from files."""
    command = [str(BIN / "docker-compose")]
    command += [part for file in files for part in ("-f", str(file))]
    result = subprocess.run(
        [*command, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "ANTIPHON_API_KEY": "a-key"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.returncode == 0, result.stderr
    project: dict[str, Any] = json.loads(result.stdout)
    return project


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    return dict(service.get("environment") or {})


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    command = [BIN / "hadolint", "--failure-threshold", "style", DOCKERFILE]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 0, result.stdout


def test_hadolint_finds_what_it_should(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILE.read_text().replace("USER 10001:10001", "USER root"))
    command = [BIN / "hadolint", "--failure-threshold", "style", wrong]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode != 0
    assert "DL3002" in result.stdout


def test_the_image_is_made_of_files_that_the_context_has() -> None:
    build, final = stages(DOCKERFILE)
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"
    assert set(copied(build)) == let_in
    assert [path for path in let_in if not (ROOT / path).exists()] == []
    assert copied(final) == []
    requirements = [word for line in build for word in line.text.split() if ".lock" in word]
    assert requirements
    assert [name for name in requirements if not (ROOT / name).is_file()] == []


def test_the_image_runs_as_a_user_of_its_own() -> None:
    final = {line.name: line for line in stages(DOCKERFILE)[-1]}
    assert final["USER"].text == "10001:10001"
    assert final["CMD"].words() == ["antiphon-gateway"]


@pytest.mark.parametrize("files", [(COMPOSE,), (COMPOSE, CUDA)], ids=["cpu", "cuda"])
def test_compose_accepts_the_files_and_every_process_is_confined(files: tuple[Path, ...]) -> None:
    services = composed(*files)["services"]
    assert {name: service["command"] for name, service in services.items()} == ROLES
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["healthcheck"]["test"][0] == "CMD-SHELL", name
        load(environment=settings_of(service))
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [port["host_ip"] for port in published] == ["127.0.0.1"]


def test_compose_gives_the_card_to_speech_recognition() -> None:
    services = composed(COMPOSE, CUDA)["services"]
    assert {service["build"]["args"]["VARIANT"] for service in services.values()} == {"cuda"}
    assert {service["image"] for service in services.values()} == {"antiphon:cuda"}
    with_card = {name for name, service in services.items() if service.get("deploy")}
    assert with_card == {"stt"}
    assert load(environment=settings_of(services["stt"])).stt.device == "cuda"


def test_compose_does_not_start_without_a_key() -> None:
    command = [BIN / "docker-compose", "-f", COMPOSE, "config", "--quiet"]
    result = subprocess.run(
        command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "a secret that clients must present" in result.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment installed by the image's own line from what it copies.

    The packages that this project needs are those of the environment that the tests run in.
    """
    build = stages(DOCKERFILE)[0]
    place = tmp_path_factory.mktemp("image")
    source = place / "src"
    source.mkdir()
    for name in copied(build):
        if (ROOT / name).is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "node_modules", "test")
            shutil.copytree(ROOT / name, source / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, source / name)
    venv.create(place / "antiphon", with_pip=True)
    bin_directory = place / "antiphon" / "bin"
    [packages] = (place / "antiphon" / "lib").glob("python*/site-packages")
    purelib = importlib.metadata.distribution("aiohttp").locate_file("")
    (packages / "dependencies.pth").write_text(f"{purelib}\n")
    [line] = [
        line.text
        for line in build
        if line.text.endswith("install --no-deps --no-build-isolation .")
    ]
    # Ours is installed there already, from this source tree.
    command = line.replace("pip install", "pip install --quiet --ignore-installed")
    environment = {**os.environ, "PATH": f"{bin_directory}:{os.environ['PATH']}"}
    subprocess.run(command, shell=True, cwd=source, env=environment, check=True, timeout=50)
    return bin_directory


@pytest.mark.integration
@pytest.mark.parametrize("role", [*ROLES.values(), ["antiphon-dispatcher"]], ids=" ".join)
def test_every_role_has_its_command(installed: Path, role: list[str]) -> None:
    command = [str(installed / role[0]), *role[1:], "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr
    assert f"usage: {role[0]}" in result.stdout


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A directory with a short path, which sockets need."""
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.integration
@pytest.mark.models
def test_the_composed_processes_serve_and_stop_in_time(installed: Path, runtime_dir: Path) -> None:
    services = composed(COMPOSE)["services"]
    port = free_port()
    here = {
        "PATH": f"{installed}:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "ANTIPHON_BUS__RUNTIME_DIR": str(runtime_dir / "run"),
        "ANTIPHON_MODELS__CACHE_DIR": str(load().models.directory),
    }
    # Engines and address are those of a test: a container has a network of its own.
    flags = [f"--set={key}={value}" for key, value in SIMULATED.items()]
    flags += [f"--set=gateway.port={port}", "--set=gateway.host=127.0.0.1"]
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def healthy(name: str) -> bool:
        check = services[name]["healthcheck"]["test"][1].replace(
            RUNTIME_DIR, str(runtime_dir / "run")
        )
        return (
            subprocess.run(check, shell=True, check=False, stderr=subprocess.DEVNULL).returncode
            == 0
        )

    assert not any(healthy(name) for name in services)
    try:
        for name, service in services.items():
            program, *arguments = service["command"]
            environment = here | settings_of(service)
            command = [str(installed / program), *arguments, *flags]
            processes[name] = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 40
        while not all(healthy(name) for name in services):
            assert time.monotonic() < deadline, [name for name in services if not healthy(name)]
            time.sleep(0.2)
        processes["tts"].send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 20
        while healthy("tts"):
            assert time.monotonic() < deadline, "a process that stands still is called healthy"
            time.sleep(0.2)
        processes["tts"].send_signal(signal.SIGCONT)
        for name, process in processes.items():
            process.terminate()
            grace_s = float(services[name]["stop_grace_period"].rstrip("s"))
            assert process.wait(grace_s) == 0, name
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
    assert not list((runtime_dir / "run").glob("*.alive"))
