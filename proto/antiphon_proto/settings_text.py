"""Settings as text: reading TOML, and saying what is wrong with a setting."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from antiphon_proto.errors import ConfigurationError

_UNKNOWN_FIELD = re.compile("unknown field `(.*)`")

Tree = Mapping[str, Any]
"""Sections by name, settings by name in each."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not TOML: {exc}") from exc


def readable(error: str, tree: Tree, known: Tree) -> str:
    """Return a validation error of `tree` as one line that begins with the setting."""
    reason, _, place = error.partition(" - at `$.")
    place = place.rstrip("`")
    wrong = _UNKNOWN_FIELD.search(reason)
    if wrong:
        return unknown(f"{place}.{wrong[1]}" if place else wrong[1], known)
    value: Any = tree
    for key in place.partition("[")[0].split("."):
        value = value.get(key) if isinstance(value, dict) else None
    shown = "" if place.startswith("gateway.api_keys") else f" is {value!r};"
    return f"{place}{shown} {reason[:1].lower()}{reason[1:].replace('`', '')}"


def unknown(name: str, known: Tree) -> str:
    """Say that there is no such section or setting, with the nearest one that there is."""
    settings = [f"{section}.{key}" for section, keys in known.items() for key in keys]
    near = difflib.get_close_matches(name, settings if "." in name else list(known), n=1)
    what = "setting" if "." in name else "section"
    return f"there is no {what} {name}" + (f"; did you mean {near[0]}?" if near else "")
