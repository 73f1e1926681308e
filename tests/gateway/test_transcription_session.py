"""A session that only transcribes: what it sends, what it refuses, what the transcriber is told."""

import pytest
from session_rig import PAUSE, SPEECH, Rig, spoken_turn, turn_detection

from antiphon_proto.messages import Generate, Transcribe

HEARD = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
]


def test_it_hears_every_turn_and_answers_none() -> None:
    rig = Rig(kind="transcription")
    assert rig.last("session.created")["session"]["type"] == "transcription"
    rig.types()
    for text in ("What time is it?", "And in Oslo?"):
        spoken_turn(rig, text)
        assert rig.last(HEARD[-1])["transcript"] == text
        rig.pass_time(20_000)
        assert rig.types() == HEARD
    assert rig.submitted(Generate) == 0


def test_settings_that_ask_for_answers_change_nothing() -> None:
    rig = Rig(kind="transcription")
    turn_detection(rig, {"type": "server_vad", "create_response": True, "idle_timeout_ms": 5_000})
    rig.types()
    spoken_turn(rig)
    rig.pass_time(20_000)
    assert rig.types() == HEARD
    assert rig.submitted(Generate) == 0


def test_the_client_may_commit_by_itself() -> None:
    rig = Rig(kind="transcription")
    turn_detection(rig, None)
    rig.speak(SPEECH)
    rig.types()
    rig.send(type="input_audio_buffer.commit")
    rig.transcribe("Noon.")
    assert rig.types() == HEARD[2:]


def test_a_response_is_refused() -> None:
    rig = Rig(kind="transcription")
    rig.send(type="response.create", event_id="mine")
    error = rig.last("error")["error"]
    assert (error["code"], error["event_id"]) == ("unsupported_event", "mine")
    assert rig.submitted(Generate) == 0


def test_its_type_stays() -> None:
    rig = Rig(kind="transcription")
    rig.send(type="session.update", session={"type": "realtime"})
    assert rig.last("error")["error"]["param"] == "session.type"


@pytest.mark.parametrize("kind", ["realtime", "transcription"])
def test_the_transcriber_is_told_what_to_expect(kind: str) -> None:
    rig = Rig(kind="transcription" if kind == "transcription" else "realtime")
    transcription = {"prompt": "Antiphon, Oslo"}
    rig.send(type="session.update", session={"audio": {"input": {"transcription": transcription}}})
    rig.speak(SPEECH + PAUSE)
    command = rig.job(Transcribe).command
    assert isinstance(command, Transcribe)
    assert command.prompt == "Antiphon, Oslo"
