"""A talk about one's own documents: the embedded model answers from a file it cannot know."""

from pathlib import Path

import pytest
from system import SIMULATED, running_system
from system_client import connected

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.models
async def test_the_model_answers_from_the_owners_documents(tmp_path: Path) -> None:
    (tmp_path / "cat.md").write_text("The cat of the house is called Bartholomew. He is grey.")
    settings = {
        **SIMULATED,
        "llm.engine": "llamacpp",
        "llm.temperature": 0.0,
        "retrieval.engine": "folder",
        "retrieval.folder": tmp_path,
        "retrieval.budget_ms": 5_000,
    }
    with running_system(settings, ready_within_s=90) as server:
        async with connected(server.realtime_url, extended=True) as client:
            await client.text_only()
            await client.say_text("What is the cat of the house called?")
            cited = await client.event("antiphon.citations")
            response = await client.done()
        assert cited["citations"][0]["source"] == "cat.md"
        [item] = response["output"]
        assert item["id"] == cited["item_id"]
        assert "Bartholomew" in item["content"][0]["text"]
        assert "Bartholomew" not in server.log("gateway")
        server.assert_no_traceback()
