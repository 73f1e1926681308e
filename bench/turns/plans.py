"""Pure: which trials each scenario holds. The same seed gives the same trials everywhere."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from antiphon_proto.audio import Samples
from antiphon_proto.errors import ConfigurationError
from bench.turns.material import Material
from bench.turns.sound import Sound, at_level, at_snr, joined, sample_at, with_pause

PAUSE_MS = (300.0, 900.0)
LEAD_IN_MS = (400.0, 900.0)
REPLY_HEARD_MS = (900.0, 4_000.0)
"""How much of a reply is heard before something happens. The first 0.8 s are left out: who speaks
then goes on with the question."""
SNR_DB = (20.0, 10.0, 5.0)
ECHO_DB = (-10.0, -20.0, -30.0)
ECHO_DELAY_MS = (80.0, 250.0)
MONOLOGUE_S = 70.0
MONOLOGUE_GAP_MS = (150.0, 350.0)
MONOLOGUE_DETECTION = {
    "type": "server_vad",
    "silence_duration_ms": 2_500,
    "create_response": False,
}
"""Pauses between the clips of a monologue must not end it."""
MAX_NOISE_S = 6.0


class Echo(NamedTuple):
    """How the microphone hears the reply."""

    gain_db: float
    delay_ms: float


class Trial(NamedTuple):
    """One conversation: a sound in silence or over a reply, and how long to watch."""

    scenario: str
    name: str
    sound: Sound | None
    over_reply: bool
    after_ms: float
    """Silence before the sound, or how much of the reply is heard before it."""
    asks: bool = False
    """The sound is to be answered; the trial ends with the answer."""
    watch_ms: float = 3_000.0
    """How long to watch after the sound."""
    echo: Echo | None = None
    turn_detection: dict[str, Any] | None = None
    topic: int = 0
    """Which story the reply tells."""


def plan(scenario: str, material: Material, seed: int, turns: int) -> list[Trial]:
    """Return the trials of a scenario. Raises ConfigurationError when there are no sounds for it.

    A longer plan begins with the trials of a shorter one.
    """
    dice = random.Random(f"{seed}/{scenario}")
    return list(itertools.islice(SCENARIOS[scenario].trials(material, dice), turns))


def _question(material: Material, dice: random.Random) -> Iterator[Trial]:
    for clip in _deck(material.requests, dice, "clips"):
        yield Trial("question", clip.name, clip, False, dice.uniform(*LEAD_IN_MS), asks=True)


def _hesitation(material: Material, dice: random.Random) -> Iterator[Trial]:
    for clip in _deck(material.cuttable, dice, "clips of three words with word times"):
        words = dice.randrange(1, len(clip.words))
        sound = with_pause(clip, words, dice.uniform(*PAUSE_MS), dice.randrange(2**31))
        lead_in_ms = dice.uniform(*LEAD_IN_MS)
        yield Trial("hesitation", sound.name, sound, False, lead_in_ms, asks=True)


def _natural(material: Material, dice: random.Random) -> Iterator[Trial]:
    for clip in _deck(material.paused, dice, "clips with a pause inside"):
        yield Trial("natural", clip.name, clip, False, dice.uniform(*LEAD_IN_MS), asks=True)


def _barge_in(material: Material, dice: random.Random) -> Iterator[Trial]:
    for topic, clip in enumerate(_deck(material.requests, dice, "clips")):
        heard_ms = dice.uniform(*REPLY_HEARD_MS)
        yield Trial("barge-in", clip.name, clip, True, heard_ms, asks=True, topic=topic)


def _backchannel(material: Material, dice: random.Random) -> Iterator[Trial]:
    for topic, sound in enumerate(_deck(material.backchannels, dice, "backchannels")):
        heard_ms = dice.uniform(*REPLY_HEARD_MS)
        yield Trial("backchannel", sound.name, sound, True, heard_ms, topic=topic)


def _cough(material: Material, dice: random.Random) -> Iterator[Trial]:
    for index, sound in enumerate(_deck(material.coughs, dice, "coughs")):
        cough = sound._replace(samples=at_level(sound.samples, material.speech_dbfs))
        yield _unasked("cough", sound.name, cough, index, dice)


def _noise(material: Material, dice: random.Random) -> Iterator[Trial]:
    noises = [*material.noises, babble(dice.sample(material.clips, min(6, len(material.clips))))]
    for index, sound in enumerate(_deck(noises, dice, "noises")):
        snr_db = SNR_DB[index % len(SNR_DB)]
        samples = at_snr(sound.samples, material.speech_dbfs, snr_db)
        samples = samples[: sample_at(MAX_NOISE_S * 1000)]
        noise = sound._replace(
            samples=samples, end_ms=min(sound.end_ms, MAX_NOISE_S * 1000), transcript=""
        )
        yield _unasked("noise", f"{sound.name} at {snr_db:.0f} dB", noise, index, dice)


def _unasked(scenario: str, name: str, sound: Sound, index: int, dice: random.Random) -> Trial:
    """Return a sound that is no speech, in silence and over a reply in turn."""
    over_reply = index % 2 == 1
    place = "over a reply" if over_reply else "in silence"
    after_ms = dice.uniform(*(REPLY_HEARD_MS if over_reply else LEAD_IN_MS))
    return Trial(
        scenario, f"{name}, {place}", sound, over_reply, after_ms, watch_ms=2_500, topic=index
    )


def babble(sounds: Sequence[Sound]) -> Sound:
    """Return people who speak at the same time, each again and again, as loud as each other."""
    length = sample_at(MAX_NOISE_S * 1000)
    speeches = [s.samples[sample_at(s.start_ms) : sample_at(s.end_ms)] for s in sounds]
    voices = [np.resize(at_level(speech, -30.0), length) for speech in speeches]
    samples: Samples = np.asarray(np.sum(voices, axis=0), dtype=np.float32)
    return Sound("babble", samples, 0.0, MAX_NOISE_S * 1000)


def _echo(_: Material, dice: random.Random) -> Iterator[Trial]:
    for index in itertools.count():
        echo = Echo(ECHO_DB[index % len(ECHO_DB)], dice.uniform(*ECHO_DELAY_MS))
        name = f"{echo.gain_db:.0f} dB after {echo.delay_ms:.0f} ms"
        yield Trial("echo", name, None, True, 0.0, watch_ms=7_000, echo=echo, topic=index)


def _long(material: Material, dice: random.Random) -> Iterator[Trial]:
    deck = _deck(material.timed, dice, "clips with word times")
    while True:
        clips: list[Sound] = []
        gaps_ms: list[float] = []
        while sum(clip.end_ms - clip.start_ms for clip in clips) + sum(gaps_ms) < MONOLOGUE_S * 1e3:
            clips.append(next(deck))
            gaps_ms.append(dice.uniform(*MONOLOGUE_GAP_MS))
        sound = joined(clips, gaps_ms)
        detection = MONOLOGUE_DETECTION
        yield Trial(
            "long", sound.name, sound, False, 500.0, watch_ms=6_000, turn_detection=detection
        )


def _partials(material: Material, dice: random.Random) -> Iterator[Trial]:
    for clip in _deck(material.timed, dice, "clips with word times"):
        yield Trial("partials", clip.name, clip, False, dice.uniform(*LEAD_IN_MS), asks=True)


def _deck(sounds: Sequence[Sound], dice: random.Random, what: str) -> Iterator[Sound]:
    """Yield the sounds for ever, each once in a random order before any comes again."""
    if not sounds:
        raise ConfigurationError(f"there are no {what} for this scenario")
    while True:
        yield from dice.sample(sounds, len(sounds))


class Scenario(NamedTuple):
    """How a scenario makes its trials, and how many of them a full run holds."""

    trials: Callable[[Material, random.Random], Iterator[Trial]]
    turns: int


SCENARIOS = {
    "question": Scenario(_question, 14),
    "hesitation": Scenario(_hesitation, 16),
    "natural": Scenario(_natural, 6),
    "barge-in": Scenario(_barge_in, 12),
    "backchannel": Scenario(_backchannel, 10),
    "cough": Scenario(_cough, 10),
    "noise": Scenario(_noise, 12),
    "echo": Scenario(_echo, 5),
    "long": Scenario(_long, 1),
    "partials": Scenario(_partials, 3),
}
"""In the order in which they are run."""
