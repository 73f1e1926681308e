"""Servers and a judge of speech: started once for all tests that use them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from system import System, running_system

from antiphon_proto.config import Config

if TYPE_CHECKING:
    from model_servers import ModelServer
    from system_ears import Ears

    from bench.turns.word_timer import WordTimer


@pytest.fixture(scope="session")
def embedded_system() -> Iterator[System]:
    """The server with its embedded models. Leave it as it was.

    Its answers are short, because they are listened to in real time.
    """
    with running_system({"llm.max_output_tokens": 32}, ready_within_s=90.0) as server:
        yield server
        server.assert_no_traceback()


@pytest.fixture(scope="session")
def ears() -> "Ears":
    """Speech recognition for what the server says."""
    from system_ears import Ears  # the import alone takes seconds

    return Ears()


@pytest.fixture(scope="session")
def word_timer() -> "WordTimer":
    """Tells when the words of an answer are spoken, without asking the server."""
    from bench.turns.word_timer import WordTimer  # the import alone takes seconds

    return WordTimer.of(Config().tts.model)


@pytest.fixture(scope="session")
def model_server() -> "ModelServer":
    """A server of language models beside ours; skips where none can run."""
    import model_servers

    from antiphon_proto.errors import StartupError

    try:
        return model_servers.shared()
    except StartupError as exc:
        pytest.skip(str(exc))
