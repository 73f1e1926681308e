"""Whole servers, and a judge that tells whether speech can be understood."""

from collections.abc import Iterator

import pytest
from system import SIMULATED, System, running_system
from system_ears import Ears


@pytest.fixture(scope="session")
def embedded_system() -> Iterator[System]:
    """The server with its embedded models, started once for all tests. Leave it as it was.

    Its answers are short, because they are listened to in real time.
    """
    with running_system({"llm.max_output_tokens": 32}, ready_within_s=90.0) as server:
        yield server
        server.assert_no_traceback()


@pytest.fixture
def simulated_system() -> Iterator[System]:
    """A server with simulated engines, one worker a stage."""
    with running_system(SIMULATED) as server:
        yield server


@pytest.fixture(scope="session")
def ears() -> Ears:
    """Speech recognition for what the server says."""
    return Ears()
