"""Does speech over a response interrupt it? Pure: numbers and words in, a verdict out.

Speech that carries words stops the response. Noises, fillers and backchannels, which only show that
someone listens, let it go on. Words that are late do not: then the length of the speech decides.
"""

import dataclasses
import enum
import re

from antiphon_proto.messages import Transcript

_ENDED_MS = 160
"""Silence after which the speech is taken to be over."""
_UNCOVERED_MS = 96
"""Speech behind the last word heard that may be the detector's own delay."""
_WORDS_LIMIT_MS = 1_000
"""Words of speech that is over are waited for until so long after its start."""

_BACKCHANNELS = """
    aha ah ahh alright cool er erm fine good great ha haha hah hm hmm hmmm huh mhm mhmm mm mmhm
    mmhmm mmm nice oh ok okay ooh right sure uh uhhuh uhh uhm um umm wow yea yeah yep yes yup
    exactly indeed really totally true thanks
"""
"""Said by listeners to keep the speaker going, and the sounds of thinking."""
_NOT_YET = frozenset(["a", "and", "but", "i", "it", "like", "so", "the", "well", "you"])
"""Words that a noise is easily taken for. If somebody speaks, others follow."""
_HUM = frozenset("hmu")
"""Letters of mm-hmm, uh-huh and hum, however they are written."""
_LAUGHTER = re.compile(r"a?(?:h[aeo]){2,}h?")
_SURE_LOG_PROBABILITY = -0.85
"""Measured with tiny.en: hums and breaths taken for a word are at -0.9 and below."""
_DOUBTED_NO_SPEECH_PROBABILITY = 0.4
_DOUBTED_LOG_PROBABILITY = -0.6
"""Measured with tiny.en on ever more of the sound: of 24 babbles of six people six have words that
would stop a response, all of them doubted; of 91 people one, who only cries, is."""
_BACKCHANNEL_WORDS = frozenset(_BACKCHANNELS.split())
_BACKCHANNEL_PHRASES = (
    "uh huh",
    "mm hmm",
    "mm hm",
    "i see",
    "got it",
    "of course",
    "all right",
    "thank you",
)
_SOUND = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*")
"""What transcripts write for sounds: [laughs], (coughing), *sighs*."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class Verdict(enum.Enum):
    """What is to happen to the response."""

    UNDECIDED = "undecided"
    STOP = "stop"
    GO_ON = "go on"


@dataclasses.dataclass(frozen=True, slots=True)
class InterruptionRule:
    """The figures of a server."""

    enough_speech_ms: int
    """Shorter speech is a noise."""
    patience_ms: int
    """Speech that goes on so long without words to judge by stops the response."""


@dataclasses.dataclass(frozen=True, slots=True)
class OverlappingSpeech:
    """What is known of speech over a response."""

    speech_ms: int
    """From its start to where it was last heard."""
    silence_ms: int
    """Since then."""
    sounding: bool = False
    """Whether there is sound again, which may be too short to be speech."""
    words: str | None = None
    """What was said, as far as it was transcribed; None before the first answer."""
    words_log_probability: float = 0.0
    """How sure the transcript is: the average logarithm of its tokens' probabilities."""
    words_until_ms: int = 0
    """The speech that the words cover, from its start."""
    words_asked: bool = False
    """Whether more words are on their way."""
    answers: bool = False
    """The response has just asked something: `yeah` is an answer."""
    echo: bool = False
    """The microphone hears the response itself."""


def judge(speech: OverlappingSpeech, rule: InterruptionRule) -> Verdict:
    """Decide as soon as it can be, and no later than the rule's patience while speech goes on."""
    over = speech.silence_ms >= _ENDED_MS and not speech.sounding
    if speech.echo:
        return Verdict.GO_ON if over else Verdict.UNDECIDED
    sure = speech.words_log_probability >= _SURE_LOG_PROBABILITY
    if speech.words and carries_meaning(speech.words, answers=speech.answers, sure=sure):
        return Verdict.STOP
    if not over:
        late = speech.speech_ms - speech.words_until_ms >= rule.patience_ms
        return Verdict.STOP if late else Verdict.UNDECIDED
    if speech.speech_ms < rule.enough_speech_ms:
        return Verdict.GO_ON
    covered = speech.words is not None and (
        speech.speech_ms - speech.words_until_ms <= _UNCOVERED_MS
    )
    waited = speech.speech_ms + speech.silence_ms >= _WORDS_LIMIT_MS
    if covered or waited or not speech.words_asked:
        return Verdict.GO_ON
    return Verdict.UNDECIDED


def carries_meaning(words: str, *, answers: bool = False, sure: bool = True) -> bool:
    """Tell whether a transcript is more than noises, fillers and backchannels.

    With `answers`, backchannels count, because something was asked. A single word must be `sure`:
    a hum or a cough is easily taken for one.
    """
    said = [word for word in plain_words(words) if not set(word) <= _HUM]
    if answers:
        return bool(said)
    text = " ".join(said)
    for phrase in _BACKCHANNEL_PHRASES:
        text = re.sub(rf"\b{phrase}\b", " ", text)
    left = [
        word
        for word in text.split()
        if word not in _BACKCHANNEL_WORDS and not _LAUGHTER.fullmatch(word)
    ]
    if len(said) > 1 and len(left) > 1:
        return True
    return sure and any(word not in _NOT_YET for word in left)


def is_doubted(heard: Transcript) -> bool:
    """Tell whether words may be invented: the recogniser is not sure of them, nor of a speaker."""
    return (
        heard.no_speech_probability > _DOUBTED_NO_SPEECH_PROBABILITY
        and heard.average_log_probability < _DOUBTED_LOG_PROBABILITY
    )


def plain_words(text: str) -> list[str]:
    """Return the words of a transcript in lower case, without marks and named sounds."""
    return _WORD.findall(_SOUND.sub(" ", text.lower()))
