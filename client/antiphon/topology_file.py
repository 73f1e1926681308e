"""Reads the file that says what runs where, and refuses what cannot be."""

import difflib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from antiphon.placement import (
    Deployment,
    Group,
    applied,
    check_count,
    memory_fault,
    placed,
    unpinned,
    used_cards,
)
from antiphon_proto import gpus
from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import STAGES

OWN_KEYS = ("processes", "slots", "gpu_memory_mib")
"""Settings of a stage for which a group has keys of its own."""


class TopologyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the file."""

    workers: tuple[Group, ...]


def deployed(config: Config, ask: Callable[[], gpus.Cards] = gpus.present) -> Deployment:
    """Return what a configuration asks to run here; `ask` tells which cards there are.

    Raises ConfigurationError with reason and remedy when the topology file is wrong, or wrong for
    this machine.
    """
    if not config.supervision.topology:
        return unpinned(config)
    path = Path(config.supervision.topology).expanduser()
    groups = read(path)
    cards = ask() if any(group.gpus for group in groups) else gpus.Cards()
    deployment = placed(Deployment(groups=groups, gpus=cards.gpus, pinned=True))
    if fault := _fault(config, deployment, cards):
        raise ConfigurationError(f"{path}: {fault}")
    check_count(deployment)
    return deployment


def settled(config: Config) -> tuple[Config, Deployment]:
    """Return what runs, and the configuration with `STAGE.processes` as they then are."""
    deployment = deployed(config)
    return applied(config, deployment), deployment


def read(path: Path) -> tuple[Group, ...]:
    """Return the groups in a file. Raises ConfigurationError when it is none."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(
            f"cannot read {path}, the file of supervision.topology: {exc.strerror}"
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not TOML: {exc}") from exc
    if unknown := _unknown_keys(tree):
        raise ConfigurationError(f"{path}: {unknown}")
    try:
        return msgspec.convert(tree, TopologyFile).workers
    except msgspec.ValidationError as exc:
        reason, _, place = str(exc).partition(" - at `$")
        where = place.rstrip("`").lstrip(".")
        said = f"{reason[:1].lower()}{reason[1:]}".replace("`", "")
        raise ConfigurationError(
            f"{path}: {where}: {said}" if where else f"{path}: {said}"
        ) from exc


def _unknown_keys(tree: dict[str, Any]) -> str:
    """Return what is wrong with the keys, with the nearest that there is; empty when nothing."""
    known = [field.name for field in msgspec.structs.fields(Group)]
    for key in tree:
        if key != "workers":
            return f"there is no {key}; a topology is a list of [[workers]]"
    groups = tree.get("workers", [])
    for place, group in enumerate(groups if isinstance(groups, list) else []):
        for key in group if isinstance(group, dict) else ():
            if key not in known:
                return f"workers[{place}]: there is no {key}{_nearest(key, known)}"
    return ""


def _fault(config: Config, deployment: Deployment, cards: gpus.Cards) -> str:
    """Return the first thing that is wrong; empty when nothing is."""
    for stage in STAGES:
        if not deployment.of(stage):
            return f'stage {stage} has no worker; add [[workers]] with stage = "{stage}"'
    for place, group in enumerate(deployment.groups):
        if fault := _group_fault(config, group, cards):
            return f"workers[{place}]: {fault}"
    for gpu in used_cards(deployment):
        if fault := memory_fault(deployment, gpu, deployment.on(gpu)):
            return fault
    return ""


def _group_fault(config: Config, group: Group, cards: gpus.Cards) -> str:
    there = [gpu.index for gpu in cards.gpus]
    for number in group.gpus:
        if number not in there:
            has = f"has GPU {', '.join(map(str, there))}" if there else f"has none: {cards.problem}"
            remedy = "choose one of them" if there else "remove gpus to run on the processor"
            return f"{group.stage} wants GPU {number}, and this machine {has}; {remedy}"
    if len(set(group.gpus)) != len(group.gpus):
        return f"gpus = {list(group.gpus)} names a card twice; set processes for more on one card"
    if group.gpu_memory_mib and not group.gpus:
        return "gpu_memory_mib without gpus; name the cards, or remove it"
    return settings_fault(config, group)


def settings_fault(config: Config, group: Group) -> str:
    """Return what is wrong with the settings of a group; empty when nothing is."""
    section = config.stage(group.stage)
    fields = [field.name for field in msgspec.structs.fields(section)]
    for key in group.settings:
        if key in OWN_KEYS:
            return f"settings.{key} is a key of the group itself; write it as {key} = ..."
        if key not in fields:
            return f"there is no setting {group.stage}.{key}{_nearest(key, fields)}"
    try:
        values = {**msgspec.to_builtins(section), **group.changes}
        changed = msgspec.convert(values, type(section), strict=False)
    except msgspec.ValidationError as exc:
        reason, _, place = str(exc).partition(" - at `$.")
        return f"settings: {group.stage}.{place.rstrip('`')}: {reason[:1].lower()}{reason[1:]}"
    if group.gpus and getattr(changed, "device", "") == "cpu":
        return (
            f"{group.stage} is put on a GPU and {group.stage}.device is cpu; "
            'set settings = { device = "cuda" }'
        )
    return ""


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
