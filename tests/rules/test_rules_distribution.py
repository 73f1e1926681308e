"""The wheel: what is in it, that it installs beside anything, that its commands start."""

import importlib.metadata
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from source_tree import PACKAGES, ROOT

OURS = {path.name for path in PACKAGES.values()}
REQUIRED_FILES = {
    "antiphon_gateway/web/index.html",
    "antiphon_gateway/web/src/main.js",
    "antiphon_gateway/web/src/worklets/capture.js",
    "antiphon_proto/models.toml",
    *(f"{name}/py.typed" for name in OURS),
}
UNWANTED = ("node_modules", "__pycache__", "/test/", "tests/", "package-lock.json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(ROOT)]
    subprocess.run(command, check=True, timeout=50)
    [built] = target.glob("antiphon-*.whl")
    return built


@pytest.mark.integration
def test_the_wheel_holds_the_page_the_manifest_and_nothing_foreign(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert REQUIRED_FILES - names == set()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == OURS
    assert {name for name in names if any(part in name for part in UNWANTED)} == set()


@pytest.mark.integration
def test_the_installed_commands_start(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, timeout=50)
    # The dependencies are those of this environment; only our own code comes from the wheel.
    purelib = Path(importlib.metadata.distribution("aiohttp").locate_file(""))
    [packages] = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{purelib}\n")
    for name in ("antiphon", "antiphon-gateway", "antiphon-worker"):
        result = subprocess.run(
            [python.parent / name, "--help"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert f"usage: {name}" in result.stdout
    where = "import antiphon_gateway.app as app; print(app.__file__, app.page_directory())"
    found = subprocess.run(
        [python, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=30
    )
    assert found.stdout.count(str(packages / "antiphon_gateway")) == 2


def test_no_other_distribution_owns_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {name: set(owners.get(name, [])) - {"antiphon"} for name in OURS} == {
        name: set() for name in OURS
    }
