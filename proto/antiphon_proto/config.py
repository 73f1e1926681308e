"""Loading the configuration of every process: one frozen tree of `settings`.

The environment is read here; `settings` and `stage_settings` read the directories and addresses
that it names.

Precedence: defaults < TOML file < `ANTIPHON_SECTION__KEY` in the environment < flags.
"""

import argparse
import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from antiphon_proto.errors import ConfigurationError
from antiphon_proto.settings import Config as Config
from antiphon_proto.settings import Gateway as Gateway
from antiphon_proto.settings import Lan as Lan
from antiphon_proto.settings import Playout as Playout
from antiphon_proto.settings import Retrieval as Retrieval
from antiphon_proto.settings import Tools as Tools
from antiphon_proto.settings import TurnTaking as TurnTaking
from antiphon_proto.stage_settings import Llm as Llm
from antiphon_proto.stage_settings import Stt as Stt
from antiphon_proto.stage_settings import Tts as Tts

ENV_PREFIX = "ANTIPHON_"
ENV_CONFIG_FILE = "ANTIPHON_CONFIG"
SETTINGS_NAME = "settings.toml"
"""In the runtime directory of a server that `antiphon up` runs: the settings of its programs."""
MASK = "***"
"""What a printed configuration shows in place of each API key."""

_UNKNOWN_FIELD = re.compile("unknown field `(.*)`")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command shares."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        metavar="FILE",
        help=f"TOML file of settings (also ${ENV_CONFIG_FILE}); `antiphon config` prints them all",
    )
    group.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        dest="settings",
        action="append",
        default=[],
        help="override one setting, for example --set gateway.port=9000; may be repeated",
    )


def from_arguments(arguments: argparse.Namespace) -> Config:
    """Return the configuration that the parsed flags of `add_arguments` ask for."""
    return load(file=arguments.config, environment=os.environ, settings=arguments.settings)


def load(
    *,
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
    settings: Iterable[str] = (),
) -> Config:
    """Merge defaults, file, environment and `SECTION.KEY=VALUE` settings.

    Raises ConfigurationError naming the unknown key or the value out of range.
    """
    environment = os.environ if environment is None else environment
    file = file or environment.get(ENV_CONFIG_FILE)
    tree = _read_toml(Path(file)) if file else {}
    for variable, value in environment.items():
        if variable.startswith(ENV_PREFIX) and variable != ENV_CONFIG_FILE:
            path = variable.removeprefix(ENV_PREFIX).lower().split("__")
            _put(tree, path, value, source=variable)
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise ConfigurationError(f"setting {setting!r} is not SECTION.KEY=VALUE")
        _put(tree, key.strip().split("."), value, source=f"setting {key}")
    try:
        config = msgspec.convert(tree, Config, strict=False)
    except msgspec.ValidationError as exc:
        raise ConfigurationError(_readable(str(exc), tree)) from exc
    for section, keys in (("gateway", config.gateway.api_keys), ("lan", config.lan.api_keys)):
        if MASK in keys:
            raise ConfigurationError(
                f"{section}.api_keys holds {MASK}, which stands for a hidden key"
            )
    if config.gateway.processes > 1 and config.bus.dispatcher == "embedded":
        raise ConfigurationError(
            f"gateway.processes is {config.gateway.processes}; several gateways share workers "
            "through a dispatcher: set bus.dispatcher=process"
        )
    return config


def as_gateway(config: Config, index: int) -> Config:
    """Return the configuration of one of `gateway.processes` gateways, with its name.

    Raises ConfigurationError when there are not so many.
    """
    names = config.gateways
    if not 0 <= index < len(names):
        raise ConfigurationError(
            f"gateway {index} is none of gateway.processes={len(names)}, which count from 0"
        )
    gateway = msgspec.structs.replace(config.gateway, name=names[index])
    return msgspec.structs.replace(config, gateway=gateway)


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without our settings, for a child that gets a file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)}
    return {**kept, **changes}


def to_toml(config: Config, *, secrets: bool = False) -> str:
    """Return the configuration as TOML; keys that clients must keep secret are masked."""
    lines: list[str] = []
    for section, values in msgspec.to_builtins(config).items():
        lines.append(f"[{section}]")
        for key, value in values.items():
            shown = [MASK] * len(value) if key == "api_keys" and not secrets else value
            lines.append(f"{key} = {msgspec.json.encode(shown).decode()}")
        lines.append("")
    return "\n".join(lines)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not TOML: {exc}") from exc


def _put(tree: dict[str, Any], path: list[str], value: str, *, source: str) -> None:
    """Set one leaf given as text; lists are written `a,b`."""
    if len(path) != 2:
        example = f"{ENV_PREFIX}GATEWAY__PORT" if source.startswith(ENV_PREFIX) else "gateway.port"
        raise ConfigurationError(f"{source} is not a section and a key, for example {example}")
    section, key = path
    default = getattr(getattr(Config(), section, None), key, None)
    if default is None:
        raise ConfigurationError(f"{source}: {_unknown(f'{section}.{key}')}")
    leaves = tree.setdefault(section, {})
    if not isinstance(leaves, dict):
        raise ConfigurationError(f"{section} in the configuration file is not a section")
    leaves[key] = (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(default, tuple)
        else value
    )


def _readable(error: str, tree: Mapping[str, Any]) -> str:
    """Return a validation error of `tree` as one line that begins with the setting."""
    reason, _, place = error.partition(" - at `$.")
    place = place.rstrip("`")
    wrong = _UNKNOWN_FIELD.search(reason)
    if wrong:
        return _unknown(f"{place}.{wrong[1]}" if place else wrong[1])
    value: Any = tree
    for key in place.partition("[")[0].split("."):
        value = value.get(key) if isinstance(value, dict) else None
    shown = "" if place.startswith(("gateway.api_keys", "lan.api_keys")) else f" is {value!r};"
    return f"{place}{shown} {reason[:1].lower()}{reason[1:].replace('`', '')}"


def _unknown(name: str) -> str:
    """Say that there is no such section or setting, with the nearest one that there is."""
    tree = msgspec.to_builtins(Config())
    known = [f"{section}.{key}" for section, keys in tree.items() for key in keys]
    near = difflib.get_close_matches(name, known if "." in name else list(tree), n=1)
    what = "setting" if "." in name else "section"
    return f"there is no {what} {name}" + (f"; did you mean {near[0]}?" if near else "")
