"""Versions below which a library has known holes."""

import re
from importlib.metadata import version

import pytest
from source_tree import ROOT

from antiphon_gateway.exposure import AIOHTTP_FLOOR

FLOORS = {"aiohttp": (3, 14, 3)}
"""aiohttp: CVE-2026-54274 and the WebSocket and parser fixes of 3.14.1 to 3.14.3."""


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_what_is_required_locked_and_installed_is_not_older(
    name: str, floor: tuple[int, ...]
) -> None:
    required = re.search(rf'"{name}>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert required
    assert numbers(required[1]) >= floor
    for lock in ("run", "test"):
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        pinned = re.search(rf"^{name}==([\d.]+)", text, re.MULTILINE)
        assert pinned
        assert numbers(pinned[1]) >= floor
    assert numbers(version(name)) >= floor


def test_the_gateway_asks_for_the_same_at_its_start() -> None:
    assert FLOORS["aiohttp"] == AIOHTTP_FLOOR
