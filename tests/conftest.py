"""Fixtures that every test shares."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from system_fixtures import ears, embedded_system, model_server, word_timer

__all__ = ["ears", "embedded_system", "model_server", "word_timer"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--damaged-packets",
        type=int,
        default=400,
        help="how many packets of damaged compressed audio to send (make fuzz-decoder: 10000)",
    )
    parser.addoption(
        "--device",
        choices=("cuda", "cpu"),
        default="cuda",
        help="what the tests of tests/gpu compute on; cpu tries them without a card",
    )
    parser.addoption(
        "--write-table",
        action="store_true",
        help="make docs/compatibility.md anew from what tests/integration/test_conformance.py sees",
    )


@pytest.fixture(autouse=True)
def blocking_calls() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx(scanned_modules=["antiphon_gateway", "antiphon_workers"]) as blockbuster:
        yield blockbuster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests of the embedded server, which take the longest.

    They speak and listen in real time, so the processor has room for the others beside them.
    """

    def listens(item: pytest.Item) -> bool:
        return not {"embedded_system", "ears"}.isdisjoint(getattr(item, "fixturenames", ()))

    items.sort(key=listens, reverse=True)  # stable: within both parts the order stays
