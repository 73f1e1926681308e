"""OpenAI's names of models and voices: what stands for them."""

import pytest

from antiphon_gateway.realtime import openai_names


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("gpt-realtime-2.1", "llm"),
        ("gpt-4o-realtime-preview-2024-12-17", "llm"),
        ("gpt-4o-mini-transcribe", "stt"),
        ("gpt-4o-mini-tts-2025-03-20", "tts"),
        ("gpt-unheard-of", None),
        ("2024-12-17", None),
    ],
)
def test_a_name_is_of_the_stage_that_the_table_says(name: str, stage: str | None) -> None:
    assert openai_names.stage_of(name) == stage


def test_foreign_voices_are_spread_over_ours() -> None:
    aliases = openai_names.voice_aliases(("amy", "alloy", "joe"))
    assert "alloy" not in aliases
    assert set(aliases) == set(openai_names.VOICES) - {"alloy"}
    assert set(aliases.values()) == {"amy", "alloy", "joe"}
