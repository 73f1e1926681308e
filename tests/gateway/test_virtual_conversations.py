"""Conversations at random, in virtual time: whatever was said and understood is answered."""

import asyncio
from typing import Any

import pytest
from virtual_talk import Talker, VirtualLoop

SILENCE_S = 40.0
"""Longer than any answer lasts, and than any job may wait."""


def converse(seed: int, *, failures: float = 0.0) -> Talker:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:

        async def talk() -> Talker:
            talker = Talker(seed, failures=failures)
            await talker.run(25.0, SILENCE_S)
            return talker

        return runner.run(talk())


def unanswered(events: list[dict[str, Any]]) -> list[str]:
    """Return the words that were said, are still there, and have no response after them."""
    deleted = {one["item_id"] for one in events if one["type"] == "conversation.item.deleted"}
    waiting: list[str] = []
    for event in events:
        if event["type"] == "conversation.item.input_audio_transcription.completed":
            if event["transcript"] and event["item_id"] not in deleted:
                waiting.append(event["transcript"])
        elif event["type"] == "response.created":
            waiting.clear()
    return waiting


@pytest.mark.parametrize("failures", [0.0, 0.05])
def test_after_a_silence_nothing_is_left_open_or_unanswered(failures: float) -> None:
    answers = 0
    for seed in range(8):
        talker = converse(seed, failures=failures)
        types = [event["type"] for event in talker.events]
        assert talker.outbox.closing is None, seed
        assert types.count("response.created") == types.count("response.done"), seed
        started = types.count("input_audio_buffer.speech_started")
        assert started == types.count("input_audio_buffer.speech_stopped"), seed
        assert "error" not in types, seed
        assert unanswered(talker.events) == [], seed
        assert talker.session.open_jobs() == (), seed
        answers += types.count("response.done")
    assert answers > 25
