"""Whole spoken turns whose language model is in another server; and that server's end."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import model_servers
import numpy as np
import pytest
from model_servers import ModelServer
from model_servers import model_server as started_model_server
from system import System, running_system
from system_client import OUT_HZ, connected, reply_errors, word_errors

from antiphon_proto.errors import StartupError

if TYPE_CHECKING:
    from system_ears import Ears

pytestmark = [
    pytest.mark.integration,
    pytest.mark.thorough,
    pytest.mark.models,
    pytest.mark.timeout(180),
]

QUESTION = "should i get a dog or a cat"


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    try:
        with started_model_server() as server:
            yield server
    except StartupError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="module", params=["ollama", "openai"])
def server(request: pytest.FixtureRequest, models: ModelServer) -> Iterator[System]:
    """The embedded server, but for its language model."""
    settings = {
        "llm.engine": request.param,
        "llm.url": getattr(models, request.param),
        "llm.model": model_servers.CHAT if request.param == "ollama" else "smollm2",
        "llm.max_output_tokens": 32,
    }
    with running_system(settings, ready_within_s=90.0) as server:
        yield server
        server.assert_no_traceback()


async def test_what_is_said_is_answered_aloud(server: System, ears: "Ears") -> None:
    async with connected(server.realtime_url) as client:
        await client.speak("dog_or_cat")
        response = await client.done(60)
        assert response["status"] in ("completed", "incomplete"), response
        assert word_errors(QUESTION, client.transcripts[-1]) <= 0.3
        spoken = np.frombuffer(bytes(client.audio), "<i2")
        assert len(spoken) > OUT_HZ // 2
        assert client.reply_deltas
        heard = ears.hear(bytes(client.audio), OUT_HZ)
        assert reply_errors(client.reply_deltas, heard) < 0.5, (client.reply_deltas, heard)


@pytest.fixture
def mortal() -> Iterator[tuple[System, ModelServer]]:
    """A server of which the language model alone is real, and that model's server, to be killed."""
    with started_model_server() as models:
        settings = {
            "stt.engine": "simulated",
            "tts.engine": "simulated",
            "llm.engine": "ollama",
            "llm.url": models.ollama,
            "llm.model": model_servers.CHAT,
        }
        with running_system(settings) as server:
            yield server, models


async def test_a_session_outlives_the_server_of_its_language_model(
    mortal: tuple[System, ModelServer],
) -> None:
    server, models = mortal
    async with connected(server.realtime_url) as client:
        await client.text_only()
        await client.say_text("What is the capital of France?")
        assert (await client.done())["status"] in ("completed", "incomplete")
        models.process.kill()
        await client.say_text("And of Spain?")
        failed = await client.done()
        assert failed["status"] == "failed"
        assert failed["status_details"]["error"]["code"] == "llm_server_unreachable"
        assert (await client.update(instructions="Still here?"))["instructions"]
