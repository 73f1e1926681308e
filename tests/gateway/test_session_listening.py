"""What a session hears in its corners: commits, clears and settings in mid-utterance."""

from typing import Any

import pytest
from session_rig import Rig

from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import (
    Transcribe,
)

SPEECH = "x" * 20
PAUSE = "." * 7
END = "." * 63
WINDOW = bytes(2 * WINDOW_SAMPLES)


def turn_detection(rig: Rig, detection: dict[str, Any] | None) -> None:
    """Change the turn detection."""
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": detection}}})


def test_audio_committed_before_it_was_examined_starts_no_second_turn() -> None:
    rig = Rig()
    for _ in range(100):
        rig.session.on_audio(WINDOW, 16_000)
    rig.send(type="input_audio_buffer.commit")
    rig.types()
    rig.examine("x" * 100)
    assert rig.types() == []


def test_audio_cleared_before_it_was_examined_starts_no_turn() -> None:
    rig = Rig()
    for _ in range(100):
        rig.session.on_audio(WINDOW, 16_000)
    rig.send(type="input_audio_buffer.clear")
    rig.types()
    rig.examine("x" * 100)
    assert rig.types() == []


def test_half_a_sample_does_not_survive_a_clear() -> None:
    rig = Rig()
    rig.session.on_audio(bytes(3), 16_000)
    rig.send(type="input_audio_buffer.clear")
    rig.session.on_audio(bytes(1), 16_000)
    rig.examine("")
    assert rig.detected_bytes == 2


def test_switching_the_response_off_in_mid_utterance_keeps_the_utterance() -> None:
    rig = Rig()
    rig.speak(SPEECH)
    turn_detection(rig, {"type": "semantic_vad", "create_response": False})
    rig.speak(SPEECH + PAUSE)
    assert len(rig.job(Transcribe).payload) == 2 * WINDOW_SAMPLES * 47
    rig.transcribe("What time is it?")
    rig.speak(END)
    types = rig.types()
    assert types.count("input_audio_buffer.speech_started") == 1
    assert types.count("input_audio_buffer.speech_stopped") == 1
    assert "response.created" not in types


def test_another_kind_of_turn_detection_takes_over_in_mid_utterance() -> None:
    rig = Rig()
    rig.speak(SPEECH)
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 320})
    rig.speak("x" + "." * 10)
    assert "input_audio_buffer.speech_stopped" in rig.types()


def test_switching_to_push_to_talk_in_mid_utterance_keeps_its_audio() -> None:
    rig = Rig()
    rig.speak("." * 100 + SPEECH)
    turn_detection(rig, None)
    assert rig.types()[-2:] == ["input_audio_buffer.speech_stopped", "session.updated"]
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    assert len(rig.job(Transcribe).payload) == 2 * (WINDOW_SAMPLES * 40 + 4_800)


def test_push_to_talk_begins_with_an_empty_buffer_after_a_long_silence() -> None:
    rig = Rig()
    rig.speak("." * 2_000)
    turn_detection(rig, None)
    rig.speak("x" * 10)
    assert "error" not in rig.types()
    rig.send(type="input_audio_buffer.commit")
    assert len(rig.job(Transcribe).payload) == 2 * WINDOW_SAMPLES * 10


def test_a_commit_takes_no_more_audio_than_is_held() -> None:
    rig = Rig()
    rig.speak("." * 2_000)
    rig.send(type="input_audio_buffer.commit")
    rig.transcribe("")
    usage = rig.last("conversation.item.input_audio_transcription.completed")["usage"]
    assert usage["seconds"] == 60


@pytest.mark.parametrize("end", ["clear", "commit", "push to talk"])
def test_speech_that_started_has_stopped_whoever_ends_it(end: str) -> None:
    rig = Rig()
    rig.speak(SPEECH)
    if end == "push to talk":
        turn_detection(rig, None)
    else:
        rig.send(type=f"input_audio_buffer.{end}")
    stopped = rig.last("input_audio_buffer.speech_stopped")
    assert stopped["audio_end_ms"] == 640


def test_patience_does_not_end_with_an_utterance_that_was_cleared() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    rig.send(type="input_audio_buffer.clear")
    rig.types()
    rig.speak(SPEECH + "." * 40)
    assert "input_audio_buffer.speech_stopped" not in rig.types()
