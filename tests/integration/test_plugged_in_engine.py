"""A package with an engine of its own, installed beside ours: found, run, held to the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI
from source_tree import ROOT
from system import GATEWAY, SIMULATED, system

from antiphon import doctor_checks
from antiphon_proto.config import child_environment, load
from antiphon_proto.errors import StartupError
from antiphon_workers import registry
from antiphon_workers.__main__ import EXIT_STARTUP

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

EXAMPLE = ROOT / "examples" / "engine"
BROKEN = """
[project]
name = "antiphon-mute"
version = "1.0.0"
[project.entry-points."antiphon.engines.tts"]
mute = "antiphon_mute:Mute"
wordless = "antiphon_mute:Wordless"
absent = "antiphon_mute:Absent"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel]
only-include = ["antiphon_mute.py"]
"""
BROKEN_MODULE = """
from antiphon_workers.engine import Engine
class Mute(Engine):
    stage = "tts"
    def load(self):
        raise KeyError("no voice")
    def run(self, job, payload):
        raise NotImplementedError
class Wordless:
    stage = "tts"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the example and a broken package installed, beside our environment."""
    directory = tmp_path_factory.mktemp("plug-ins")
    mute = directory / "mute"
    mute.mkdir()
    (mute / "pyproject.toml").write_text(BROKEN)
    (mute / "antiphon_mute.py").write_text(BROKEN_MODULE)
    site = directory / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([*command, str(EXAMPLE), str(mute)], check=True, timeout=100)
    return site


def test_a_worker_speaks_with_the_engine_of_another_package(site: Path) -> None:
    sys.path.insert(0, str(site))
    try:
        from antiphon_hum import hum
    finally:
        sys.path.remove(str(site))
    with system({**SIMULATED, "tts.engine": "hum"}) as server:
        server.environment["PYTHONPATH"] = str(site)
        server.start(GATEWAY, "stt-0", "llm-0", "tts-0")
        server.wait_ready()
        with OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
            said = client.audio.speech.create(
                model="any", voice="any", input="Hello there.", response_format="pcm"
            ).content
        assert said == hum("Hello there.", 1.0)
        server.assert_no_traceback()


@pytest.mark.parametrize(
    ("engine", "cause"),
    [
        ("mute", "KeyError: 'no voice'"),
        ("wordless", "antiphon_mute:Wordless is no class derived from Engine"),
        ("absent", "AttributeError"),
    ],
)
def test_a_broken_package_is_named_when_the_worker_starts(
    site: Path, engine: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    with pytest.raises(StartupError, match=f"tts engine {engine} of the package antiphon-mute is"):
        registry.load("tts", load(environment={}, settings=[f"tts.engine={engine}"]))
    with pytest.raises(StartupError, match=re.escape(cause)):
        registry.load("tts", load(environment={}, settings=[f"tts.engine={engine}"]))


def test_an_unknown_engine_is_answered_with_the_plugged_in_ones_too(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    with pytest.raises(StartupError, match="absent, coqui, hum, mute, piper, simulated, wordless"):
        registry.create("tts", load(environment={}, settings=["tts.engine=hom"]))


def test_the_doctor_names_the_package_of_an_engine(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    config = load(environment={}, settings=["tts.engine=hum"])
    assert list(doctor_checks.packages(config))[-1].text == (
        "tts: packages of engine hum of antiphon-hum"
    )


def test_a_worker_with_a_broken_engine_ends_with_one_line(site: Path) -> None:
    command = [sys.executable, "-m", "antiphon_workers", "tts", "--set", "tts.engine=mute"]
    ended = subprocess.run(
        [*command, "--set", f"bus.runtime_dir={site.parent / 'run'}"],
        env=child_environment(PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == EXIT_STARTUP
    assert "package antiphon-mute is broken" in ended.stderr.splitlines()[-1]


def test_the_contract_tests_find_the_engine(site: Path) -> None:
    contract = ROOT / "tests" / "workers" / "test_engine_contract.py"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", contract, "-k", "tts-hum"],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    contracts = re.search(r"(\d+) passed", ran.stdout)
    assert contracts is not None
    assert int(contracts[1]) >= 4
