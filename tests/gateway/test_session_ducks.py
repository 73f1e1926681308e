"""How often and how long speech over a response lowers it."""

import pytest
from session_rig import turn_detection
from session_spoken_over import STARTED, ducks, pauses, speaking

from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.messages import Transcribe


@pytest.mark.parametrize(
    "sound",
    [
        "xxxx....xxxxxxxxx",
        "xxxxxxx....xxxx......xxxxxx",
        "xxxxx............xxxxx....xxxxx",
        "xxx.....xxxxx",
        "xxxxxxxxxx...x...xxx...xxxx",
    ],
)
def test_one_breath_ducks_the_response_once(sound: str) -> None:
    rig = speaking()
    for mark in sound + "." * 20:
        rig.speak(mark)
        for job in [*rig.jobs.values()]:
            if isinstance(job.command, Transcribe):
                rig.transcribe("Um,")
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    assert STARTED not in rig.types()


@pytest.mark.parametrize(
    ("heard_ms", "windows"), [(300, 2), (1_500, 4)], ids=["hardly begun", "under way"]
)
def test_a_response_that_has_hardly_begun_is_paused_sooner(heard_ms: int, windows: int) -> None:
    rig = speaking(heard_ms=heard_ms)
    rig.speak("x" * (windows - 1))
    assert pauses(rig) == [False]
    rig.speak("x")
    assert pauses(rig) == [False, True]
    rig = speaking(heard_ms=heard_ms, config=Config(turn_taking=TurnTaking(pause_after_ms=0)))
    rig.speak("x" * windows)
    assert pauses(rig) == [False]


def test_a_short_sound_ducks_for_a_while_and_what_follows_is_judged_by_itself() -> None:
    rig = speaking()
    rig.speak("xxx" + "." * 9)
    assert [ducked for _, ducked in ducks(rig)] == [True]
    rig.speak("xxxxx")
    assert pauses(rig) == [False, True]
    rig.speak("xxx")
    assert len(rig.job(Transcribe).payload) <= 2 * 512 * len(".......xxxxxxxx")
    rig.transcribe("What about")
    rig.speak("x")
    assert [ducked for _, ducked in ducks(rig)] == [True]
    assert STARTED in rig.types()
    rig = speaking()
    rig.speak("xxx" + "." * 10)
    assert [ducked for _, ducked in ducks(rig)] == [True, False]


def test_a_sound_that_goes_on_after_a_dip_is_judged_as_a_whole() -> None:
    rig = speaking()
    rig.speak("xxxxx...xx")
    assert [ducked for _, ducked in ducks(rig)] == [True]
    rig.speak("xxxx")
    assert len(rig.job(Transcribe).payload) > 2 * 512 * len("xxxxx...xxxx")


def test_speech_that_follows_a_sound_at_once_stops_the_response_without_another_duck() -> None:
    rig = speaking()
    rig.speak("xxxxxx" + "." * 9 + "x" * 9)
    rig.transcribe("What about")
    rig.speak("x")
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    assert STARTED in rig.types()


def test_a_faint_first_sound_ducks_an_audible_response_and_nothing_else() -> None:
    rig = speaking()
    rig.speak("-")
    assert [ducked for _, ducked in ducks(rig)] == [True]
    rig = speaking()
    turn_detection(rig, {"type": "semantic_vad", "interrupt_response": False})
    rig.speak("-")
    assert ducks(rig) == []


def test_a_weak_first_sound_does_not_keep_the_speech_behind_it_from_pausing() -> None:
    rig = speaking()
    rig.speak("x" + "." * 10)
    assert [ducked for _, ducked in ducks(rig)] == [True, False]
    rig.speak("x" * 4)
    assert pauses(rig) == [False, True]
    rig.speak("." * 6 + "x" * 4)
    assert pauses(rig) == [False, True, False]


def test_a_sound_after_a_silence_ducks_the_response_again() -> None:
    rig = speaking(heard_ms=500)
    rig.speak("xxxxxx" + "." * 25 + "x" * 3)
    assert [ducked for _, ducked in ducks(rig)] == [True, False, True]
