"""Whether the echo of what is played is told from people, on recordings of people."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from antiphon_gateway.echo import COMPARED_MS, PlayedAudio, echoed_words, likeness
from antiphon_proto.audio import float_to_pcm16, pcm16_to_float, read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech"
RATE_HZ = 16_000
ECHO = 0.78
PLAYED = ("garland", "how_can_i_begin", "young_man", "lobster")
SAID = ("turn_on_lamp", "would_you_please", "every_purchase", "what_time_is_it")
STEPS_MS = range(600, 2_400, 150)
Samples = npt.NDArray[np.float32]


def recording(name: str) -> Samples:
    """Return a recording at -24 dB of full scale."""
    pcm, rate = read_wav(SPEECH / f"{name}.wav")
    assert rate == RATE_HZ
    samples = pcm16_to_float(pcm)
    return (samples * 10 ** (-24 / 20) / np.sqrt(np.mean(samples**2))).astype(np.float32)


def microphone(played: str, said: Samples | None, echo_db: float | None, delay_ms: int) -> bytes:
    """Mix the echo of a recording in a room, a voice, and the noise of the room."""
    rng = np.random.default_rng(delay_ms)
    source = recording(played)
    mixed = rng.normal(0, 10 ** (-65 / 20), len(source)).astype(np.float32)
    if echo_db is not None:
        room = rng.normal(size=RATE_HZ // 10) * np.exp(-np.arange(RATE_HZ // 10) / 320)
        room[0] = 6
        echo = np.convolve(source, room / np.linalg.norm(room)) * 10 ** (echo_db / 20)
        start = delay_ms * RATE_HZ // 1000
        mixed[start:] += echo[: len(source) - start]
    if said is not None:
        mixed[: len(said)] += said[: len(mixed)]
    return float_to_pcm16(mixed)


def speaks(voice: Samples, now_ms: int) -> bool:
    """Tell whether a voice is heard in most of the time that is compared."""
    compared = voice[(now_ms - COMPARED_MS) * 16 : now_ms * 16]
    if len(compared) < 6_400:
        return False
    tenths = [np.sqrt(np.mean(compared[at : at + 640] ** 2)) for at in range(0, 6_400, 640)]
    return sum(level > 0.02 for level in tenths) >= 8


def likenesses(played: str, heard: bytes) -> dict[int, float]:
    """Return the likeness at each time in milliseconds, as a session would ask for it."""
    found = {}
    pcm = float_to_pcm16(recording(played))
    for now_ms in STEPS_MS:
        now = now_ms * RATE_HZ // 1000
        audio = PlayedAudio(RATE_HZ)
        audio.add(pcm[: 2 * now + RATE_HZ])
        start = now - COMPARED_MS * RATE_HZ // 1000
        found[now_ms] = likeness(heard[2 * start : 2 * now], audio, now)
    return found


@pytest.mark.parametrize("echo_db", [-10, -20, -30])
@pytest.mark.parametrize("delay_ms", [80, 160, 250])
def test_an_echo_is_known_as_one(echo_db: int, delay_ms: int) -> None:
    found: list[float] = []
    for played in PLAYED:
        heard = likenesses(played, microphone(played, None, echo_db, delay_ms))
        voice = recording(played)
        found += [value for now_ms, value in heard.items() if speaks(voice, now_ms - delay_ms)]
    assert len(found) > 20
    assert np.mean([value >= ECHO for value in found]) >= (0.95 if echo_db > -30 else 0.8)


@pytest.mark.parametrize("echo_db", [None, -10, -20, -30])
def test_a_person_is_not_taken_for_an_echo(echo_db: int | None) -> None:
    found: list[float] = []
    for played, said in itertools.product(PLAYED, SAID):
        voice = recording(said)[RATE_HZ // 4 :]
        heard = likenesses(played, microphone(played, voice, echo_db, 160))
        found += [value for now_ms, value in heard.items() if speaks(voice, now_ms)]
    assert len(found) > 30
    assert np.mean([value >= ECHO for value in found]) <= 0.1


def test_silence_is_like_nothing() -> None:
    audio = PlayedAudio(RATE_HZ)
    audio.add(float_to_pcm16(recording("garland")))
    assert likeness(bytes(2 * 6_400), audio, 32_000) == -1.0
    assert likeness(b"\1\0" * 6_400, PlayedAudio(RATE_HZ), 0) == -1.0
    assert likeness(b"\1\0", audio, 32_000) == -1.0


def test_played_audio_keeps_its_positions_when_the_oldest_is_forgotten() -> None:
    audio = PlayedAudio(1_000)
    for number in range(100):
        audio.add(bytes([number, 0]) * 100)
    assert audio.between(9_500, 9_501) == bytes([95, 0])
    assert audio.between(5_999, 6_001) == bytes([0, 0, 60, 0])
    assert audio.between(9_999, 10_001) == bytes([99, 0, 0, 0])
    assert audio.between(-2, 1) == bytes(6)
    assert audio.between(20_000, 20_002) == bytes(4)


def test_words_just_spoken_are_an_echo() -> None:
    spoken = ["rain", "is", "made", "when", "warm", "air", "rises"]
    assert echoed_words(["when", "warm", "air"], spoken)
    assert not echoed_words(["what", "is", "that"], spoken)
    assert not echoed_words(["rain"], spoken)
