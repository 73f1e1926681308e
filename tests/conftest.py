"""Fixtures that every test shares."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from system_fixtures import ears, embedded_system

__all__ = ["ears", "embedded_system"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--damaged-packets",
        type=int,
        default=400,
        help="how many packets of damaged compressed audio to send (make fuzz-decoder: 10000)",
    )


@pytest.fixture(autouse=True)
def blocking_calls() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx(scanned_modules=["antiphon_gateway", "antiphon_workers"]) as blockbuster:
        yield blockbuster
