"""What every stock SDK must have of a talk: words, a call, a history of what was heard."""

import dataclasses
from typing import Any

from system_client import MIC_HZ, OUT_HZ, silence, speech, word_errors

from antiphon_proto.audio import Resampler
from bench.turns.heard import history_error
from bench.turns.word_timer import WordTimer

QUESTION, QUESTION_WORDS = "would_you_please", "would you please turn on the living room lamp"
INTERRUPTION, INTERRUPTION_WORDS = "what_time_is_it", "what time is it"
STORY = "Tell me a long story of two brothers on a journey through the mountains."
"""What is spoken over: of 16 answers of the default model 15 had 115 words and more, one had 18.
Asked for a story about the sea, 7 had 12 to 24."""
UNDERSTOOD = 0.25
"""Word errors of a human question."""
GET_TIME: Any = {
    "type": "function",
    "name": "get_time",
    "description": "Tell the time in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
        "required": ["city"],
    },
}


def recordings() -> tuple[bytes, bytes]:
    """Return the question and the interruption, PCM16 at 24 kHz with silence behind them."""
    spoken = [speech(name) + silence(2.5) for name in (QUESTION, INTERRUPTION)]
    question, interruption = (Resampler(MIC_HZ, OUT_HZ).feed(pcm, last=True) for pcm in spoken)
    return question, interruption


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cut:
    """An answer that was spoken over."""

    item_id: str
    said: str
    """Its text, as far as it was handed out."""
    audio: bytes
    """All of its audio that came, PCM16 at 24 kHz."""
    audio_end_ms: int
    """How much of it was heard, as the client told the server."""
    kept: str
    """What the server keeps of its words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """What an SDK told of a conversation in which the second answer was spoken over."""

    transcripts: list[str]
    """Final transcripts of the user."""
    called: list[dict[str, str]]
    """Arguments of the calls that were made."""
    cut: Cut
    history: str
    """What the SDK's history has of the answer that was spoken over."""
    answer: str
    """The first answer, spoken after the call."""
    answer_in_history: str


def judge(told: Told, timer: WordTimer) -> None:
    """Fail unless the conversation was whole and its history is what was heard."""
    assert word_errors(QUESTION_WORDS, told.transcripts[0]) <= UNDERSTOOD, told.transcripts
    assert [call.get("city") in ("Oslo", "Rome") for call in told.called] == [True]
    assert told.answer.strip()
    assert told.answer_in_history == told.answer
    assert told.history == told.cut.kept
    judge_heard(told.cut, timer)


def judge_heard(cut: Cut, timer: WordTimer) -> None:
    """Fail unless the words kept of an answer are those that its first milliseconds speak.

    When each word is spoken is found by another reading of the text. A recogniser cannot tell: it
    completes, leaves out or invents words at a cut.
    """
    assert cut.kept.strip()
    assert cut.said.lstrip().startswith(cut.kept.strip())
    words = timer.words(cut.said, cut.audio, OUT_HZ)
    error = history_error(cut.kept, words, cut.audio_end_ms)
    assert error.error == 0, f"{error}: {cut.kept!r} is kept of {words} at {cut.audio_end_ms} ms"
