"""Whether the echo of what is played is told from people, on recordings of people."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from antiphon_gateway.barge_in import BargeIn
from antiphon_gateway.echo import COMPARED_MS, PlayedAudio, echoed_words, likeness
from antiphon_gateway.effects import Submit
from antiphon_gateway.interruption import Verdict
from antiphon_gateway.response import Response
from antiphon_gateway.session_context import SessionContext
from antiphon_proto.audio import float_to_pcm16, pcm16_to_float, read_wav
from antiphon_proto.config import Config

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


# --- how it was played ----------------------------------------------------------------------


def lowered(gain: float, late_ms: int, delay_ms: int) -> tuple[float, float]:
    """Lower a reply, pause it and go on; return how like its echo is, and if that were not known.

    It is lowered when 1 s of it was heard, paused 100 ms later and goes on after 200 ms.
    """
    found = []
    for played in PLAYED:
        reply = recording(played)
        resting, rest = np.zeros(3_200, np.float32), reply[17_600:]
        heard = np.concatenate([reply[:16_000], reply[16_000:17_600] * gain, resting, rest])
        now_ms = 1_300 + late_ms
        start = max(0, now_ms - delay_ms - COMPARED_MS) * 16
        microphone = float_to_pcm16(heard[start : start + 16 * COMPARED_MS] * np.float32(0.1))
        audio, unknown = PlayedAudio(RATE_HZ), PlayedAudio(RATE_HZ)
        for each in (audio, unknown):
            each.add(float_to_pcm16(reply[: 2 * RATE_HZ]))
        audio.play(gain, 16_000, 1_000)
        audio.play(0.0, 17_600, 1_100)
        audio.play(1.0, 17_600, 1_300)
        position = 17_600 + 16 * late_ms
        found.append([likeness(microphone, each, position, now_ms) for each in (audio, unknown)])
    known, otherwise = np.min(found, axis=0)
    return known, otherwise


@pytest.mark.parametrize("late_ms", [50, 150, 250])
@pytest.mark.parametrize("delay_ms", [40, 120, 250])
def test_an_echo_is_known_with_the_pause_and_the_duck_in_it(late_ms: int, delay_ms: int) -> None:
    known, otherwise = lowered(0.126, late_ms, delay_ms)
    assert known >= ECHO > otherwise


def test_what_is_played_stands_still_in_a_pause() -> None:
    audio = PlayedAudio(1_000)
    audio.add(b"\0\x40" * 1_000)
    audio.play(0.5, 300, 10_300)
    audio.play(0.0, 400, 10_400)
    paused = audio.newest(400, 400, 10_500)
    assert [paused[place] for place in (0, 151, 152, 251, 252, 399)] == [0.5, 0.5, 0.25, 0.25, 0, 0]
    audio.play(1.0, 410, 10_600)
    going_on = audio.newest(400, 500, 10_690)
    assert [going_on[place] for place in (0, 61, 62, 261, 262, 399)] == [0.25, 0.25, 0, 0, 0.5, 0.5]


def test_a_client_far_away_ducks_and_pauses_a_round_trip_later() -> None:
    audio = PlayedAudio(1_000)
    audio.add(b"\0\x40" * 1_000)
    audio.play(0.5, 300, 10_300, late_ms=100)
    audio.play(0.0, 400, 10_400, late_ms=100)
    playing = audio.newest(400, 400, 10_402)
    assert [playing[place] for place in (0, 349, 350, 399)] == [0.5, 0.5, 0.25, 0.25]
    paused = audio.newest(400, 500, 10_552)
    assert [paused[place] for place in (0, 199, 200, 299, 300, 399)] == [0.5, 0.5, 0.25, 0.25, 0, 0]


def test_where_there_was_no_echo_before_there_is_none_now() -> None:
    reply = recording("garland")
    audio = PlayedAudio(RATE_HZ)
    audio.add(float_to_pcm16(reply[: 3 * RATE_HZ]))
    echo = float_to_pcm16(reply[: 2 * RATE_HZ][-1_200 * 16 :])
    sudden = bytes(2 * 16 * 800) + echo[-2 * 16 * 400 :]
    assert likeness(echo, audio, 2 * RATE_HZ, newest_ms=400) >= ECHO
    assert likeness(sudden[-2 * 16 * 400 :], audio, 2 * RATE_HZ, newest_ms=400) >= ECHO
    assert likeness(sudden, audio, 2 * RATE_HZ, newest_ms=400) == -1.0
    begun = PlayedAudio(RATE_HZ)
    begun.add(float_to_pcm16(reply[2 * RATE_HZ - 400 * 16 : 3 * RATE_HZ]))
    assert likeness(sudden, begun, 400 * 16, newest_ms=400) >= ECHO


# --- where sound begins ---------------------------------------------------------------------


def spoken(name: str) -> Samples:
    """Return a recording from its first loud sample on."""
    samples = recording(name)
    return samples[int(np.argmax(np.abs(samples) > 0.05)) :]


def beginnings(sound_ms: int, *, echo: bool) -> list[float]:
    """Return the likeness of so much sound behind silence, as a reply begins."""
    found = []
    for played, said, late_ms in itertools.product(PLAYED, SAID, (150, 300, 450)):
        reply, voice = spoken(played), spoken(played if echo else said)
        began = np.zeros(late_ms * 16, np.float32)
        heard = float_to_pcm16(np.concatenate([began, voice])[: (late_ms + sound_ms) * 16])
        audio = PlayedAudio(RATE_HZ)
        audio.add(float_to_pcm16(reply)[: 2 * RATE_HZ])
        found.append(likeness(heard[-32 * sound_ms :], audio, (late_ms + sound_ms) * 16))
    return found


def test_the_sound_alone_tells_an_echo_from_a_person_when_both_begin() -> None:
    assert np.mean([value >= ECHO for value in beginnings(224, echo=True)]) >= 0.95
    assert np.mean([value >= ECHO for value in beginnings(224, echo=False)]) <= 0.05


class Reply:
    """What a barge-in knows of a response that is heard, and how like it each look finds sound."""

    item_id = "item_1"

    def __init__(self, *likenesses: float, begun: bool = True) -> None:
        self.echo: Reply | None = self if begun else None
        self.compared_ms: list[int] = []
        self.paused = False
        self._likenesses = likenesses

    def likeness(self, _heard: bytes, _now_ms: float, newest_ms: int) -> float:
        self.compared_ms.append(newest_ms)
        return self._likenesses[len(self.compared_ms) - 1]

    def lower(self, _now_ms: float, *, gain: float) -> None:
        self.paused = not gain

    def hold_start(self) -> None: ...

    def audible(self, _now_ms: float) -> bool:
        return True

    def heard_ms(self, now_ms: float) -> float:
        return 1_000 + now_ms

    def asks(self, _now_ms: float) -> bool:
        return False


def overlapped(reply: Reply, until_ms: int, context: SessionContext) -> Iterator[BargeIn]:
    """Speak over a response from 1 s on; give what is known of it window by window."""
    begins = 16_000
    barge_in = BargeIn(
        context,
        lambda start, end: bytes(2 * (end - start)),
        begins,
        cast(Response, reply),
        language=None,
    )
    for sound_ms in range(32, until_ms + 1, 32):
        verdict = barge_in.judge(begins + sound_ms * 16, 0, sound_ms, sounding=True)
        assert verdict is Verdict.UNDECIDED
        yield barge_in


def test_the_first_sound_is_compared_with_the_silence_before_it_and_decides_nothing() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(1.0, 1.0, 1.0)
    moved = [barge_in.start_sample > 16_000 for barge_in in overlapped(reply, 288, context)]
    assert moved == [False] * 6 + [True] * 3
    assert reply.compared_ms == [COMPARED_MS, COMPARED_MS, 224]
    assert context.take_effects() == []


@pytest.mark.parametrize(
    ("looks", "from_ms"), [((0.2, 0.2, 0.8, 0.2, 0.8), None), ((0.2, 0.2, 0.8, 0.8), 320)]
)
def test_a_paused_response_is_loud_again_when_a_second_look_finds_its_echo(
    looks: tuple[float, ...], from_ms: int | None
) -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(*looks)
    paused = [reply.paused for _ in overlapped(reply, 384, context)]
    loud_windows = 0 if from_ms is None else (384 - from_ms) // 32 + 1
    assert paused == [False] * 3 + [True] * (9 - loud_windows) + [False] * loud_windows


def test_a_response_that_is_echoed_is_not_lowered_until_a_second_look_finds_no_echo() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(1.0, 1.0, 1.0, 0.2, 1.0, 0.2, 0.2)
    paused = [reply.paused for _ in overlapped(reply, 32 * 20, context)]
    assert paused == [False] * 18 + [True] * 2


def test_a_response_that_goes_on_as_an_echo_is_left_alone_until_its_pause_is_not_compared() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(0.2, 0.2, 0.8, 0.8, 0.2, 0.8, 0.8, 0.8)
    states, submitted = [], []
    for _ in overlapped(reply, 1_248, context):
        states.append((reply.paused, len(reply.compared_ms)))
        submitted.append(any(isinstance(effect, Submit) for effect in context.take_effects()))
    resumed = states.index((False, 4))
    looked_again = states.index((False, 5))
    assert 32 * (looked_again - resumed) >= COMPARED_MS + 160
    assert not any(paused for paused, _ in states[resumed:])
    assert not any(submitted[resumed:])


def test_a_response_that_went_on_as_an_echo_is_paused_again_when_it_was_none() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(0.2, 0.2, 0.8, 0.8, *[0.2] * 4)
    paused = [reply.paused for _ in overlapped(reply, 1_088, context)]
    assert paused[9] is False
    assert paused[-1] is True


def test_who_is_taken_for_an_echo_of_a_response_that_was_not_paused_is_looked_at_again() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=False)
    reply = Reply(0.2, 0.2, 0.8, 0.8, *[0.2] * 4)
    submitted = [
        any(isinstance(effect, Submit) for effect in context.take_effects())
        for _ in overlapped(reply, 736, context)
    ]
    assert len(reply.compared_ms) == 8
    assert any(submitted[-8:])


@pytest.mark.parametrize("begun", [True, False])
def test_until_the_next_response_speaks_the_echo_is_that_of_the_last(begun: bool) -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    first, second = Reply(*[1.0] * 6), Reply(*[1.0] * 6, begun=begun)
    for number, barge_in in enumerate(overlapped(first, 576, context)):
        if number == 10:
            barge_in.hold(cast(Response, second))
    assert (len(first.compared_ms), len(second.compared_ms)) == ((4, 2) if begun else (6, 0))


def test_an_echo_verdict_does_not_outlast_what_was_heard() -> None:
    context = SessionContext(Config(), session_id="sess_1", extensions=True)
    reply = Reply(*[1.0] * 4)
    for number, _ in enumerate(overlapped(reply, 576, context)):
        if number == 10:
            assert not reply.paused
            reply.echo = None
    assert reply.paused
