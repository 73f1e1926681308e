"""OpenAI's names of models and voices, which stand for ours: the one table of them. Pure."""

import re

from antiphon_proto.messages import Stage

MODELS: dict[str, Stage] = {
    "gpt-4o-mini-transcribe": "stt",
    "gpt-4o-transcribe": "stt",
    "gpt-4o-transcribe-diarize": "stt",
    "gpt-realtime-whisper": "stt",
    "gpt-transcribe": "stt",
    "whisper-1": "stt",
    "gpt-4o-mini-tts": "tts",
    "tts-1": "tts",
    "tts-1-hd": "tts",
    "chatgpt-4o-latest": "llm",
    "gpt-3.5-turbo": "llm",
    "gpt-4": "llm",
    "gpt-4-turbo": "llm",
    "gpt-4.1": "llm",
    "gpt-4.1-mini": "llm",
    "gpt-4.1-nano": "llm",
    "gpt-4o": "llm",
    "gpt-4o-mini": "llm",
    "gpt-4o-audio-preview": "llm",
    "gpt-4o-mini-audio-preview": "llm",
    "gpt-4o-realtime-preview": "llm",
    "gpt-4o-mini-realtime-preview": "llm",
    "gpt-5": "llm",
    "gpt-5-chat-latest": "llm",
    "gpt-5-mini": "llm",
    "gpt-5-nano": "llm",
    "gpt-5.1": "llm",
    "gpt-audio": "llm",
    "gpt-audio-mini": "llm",
    "gpt-realtime": "llm",
    "gpt-realtime-mini": "llm",
    "gpt-realtime-1.5": "llm",
    "gpt-realtime-2": "llm",
    "gpt-realtime-2.1": "llm",
    "o1": "llm",
    "o3": "llm",
    "o3-mini": "llm",
    "o4-mini": "llm",
}
"""The stage whose model answers to a name; names with a date at the end are not listed."""

VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)
_DATE = re.compile(r"-20\d\d-[01]\d-[0-3]\d$")


def stage_of(name: str) -> Stage | None:
    """Return the stage that a model's name is for, with or without a date; None: not OpenAI's."""
    return MODELS.get(name) or MODELS.get(_DATE.sub("", name))


def voice_aliases(voices: tuple[str, ...]) -> dict[str, str]:
    """Return OpenAI's voices spread over ours, so that two of them differ where ours can."""
    return {
        name: voices[place % len(voices)] for place, name in enumerate(VOICES) if name not in voices
    }
