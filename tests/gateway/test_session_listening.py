"""What a session hears in its corners: commits, clears and settings in mid-utterance."""

import pytest
from session_rig import (
    END,
    PAUSE,
    SPEECH,
    WINDOW_MS,
    Rig,
    answer,
    messages_asked,
    spoken_turn,
    text_item,
    turn_detection,
)

from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Done,
    Generate,
    Transcribe,
)

IN_ORDER = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "conversation.item.deleted",
    "conversation.item.deleted",
]
"""What a turn that was ended too early tells; of the last two, one is its answer's."""
WINDOW = bytes(2 * WINDOW_SAMPLES)


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
    assert len(rig.job(Transcribe).payload) == 2 * WINDOW_SAMPLES * 43
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


def test_speech_stops_once_a_turn_where_the_audio_of_its_item_ends() -> None:
    rig = Rig()
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 320})
    rig.types()
    rig.speak(SPEECH + "." * 5 + SPEECH + "." * 10)
    assert rig.types()[:3] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    rig = Rig()
    turn_detection(rig, {"type": "server_vad", "silence_duration_ms": 320})
    rig.speak("." * 100 + SPEECH + "." * 10)
    started = rig.last("input_audio_buffer.speech_started")
    stopped = rig.last("input_audio_buffer.speech_stopped")
    assert stopped["audio_end_ms"] == 130 * WINDOW_MS
    assert stopped["item_id"] == started["item_id"]
    length_ms = stopped["audio_end_ms"] - started["audio_start_ms"]
    rig.transcribe("Yes.")
    usage = rig.last("conversation.item.input_audio_transcription.completed")["usage"]
    assert usage["seconds"] * 1000 == length_ms


def test_a_turn_that_goes_on_has_stopped_and_starts_anew_under_another_id() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "It is noon.", clause_ms=3_000)
    rig.pass_time(100)
    rig.speak(SPEECH)
    told = [event for event in rig.events if event["type"] in IN_ORDER]
    assert [event["type"] for event in told] == IN_ORDER
    first, again = told[0]["item_id"], told[3]["item_id"]
    assert first != again
    assert [event["item_id"] for event in told[:4]] == [first, first, first, again]
    assert told[5]["item_id"] == first
    assert told[3]["audio_start_ms"] == told[0]["audio_start_ms"]


def test_patience_does_not_end_with_an_utterance_that_was_cleared() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    rig.send(type="input_audio_buffer.clear")
    rig.types()
    rig.speak(SPEECH + "." * 40)
    assert "input_audio_buffer.speech_stopped" not in rig.types()


def test_a_later_response_does_not_count_from_a_turn_that_was_answered() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "It is noon.")
    rig.pass_time(60_000)
    rig.types()
    rig.send(type="response.create")
    answer(rig, "Anything else?")
    assert "antiphon.turn.metrics" not in rig.types()


def test_push_to_talk_counts_from_its_own_commit() -> None:
    rig = Rig(extensions=True)
    turn_detection(rig, None)
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    rig.transcribe("Never answered.")
    rig.pass_time(60_000)
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    rig.send(type="response.create")
    rig.pass_time(100)
    rig.transcribe("Hello.")
    answer(rig, "Hello to you.")
    metrics = rig.last("antiphon.turn.metrics")
    assert metrics["voice_to_voice_ms"] == 100
    assert metrics["turn_id"] == 2


def test_metrics_name_the_turn_that_is_answered_not_the_one_that_began_meanwhile() -> None:
    rig = Rig(extensions=True)
    turn_detection(rig, {"type": "semantic_vad", "interrupt_response": False})
    spoken_turn(rig)
    rig.speak(SPEECH)
    rig.jobs = {key: job for key, job in rig.jobs.items() if isinstance(job.command, Generate)}
    answer(rig, "It is noon.")
    assert rig.last("antiphon.turn.metrics")["turn_id"] == 1


def test_an_utterance_cut_for_its_length_counts_from_there() -> None:
    rig = Rig(extensions=True, config=Config(turn_taking=TurnTaking(max_utterance_ms=2_000)))
    rig.speak(SPEECH + PAUSE + "x" * 36)
    assert "input_audio_buffer.speech_stopped" in rig.types()
    rig.jobs = {key: job for key, job in rig.jobs.items() if job.command == Transcribe(final=True)}
    rig.transcribe("And so on.")
    answer(rig, "I see.")
    assert rig.last("antiphon.turn.metrics")["voice_to_voice_ms"] == 0


def test_a_second_try_is_timed_by_itself() -> None:
    rig = Rig(extensions=True)
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    rig.generate("It is", finish=False)
    text_item(rig, "I am in Oslo.")
    rig.speak("." * 10)
    rig.pass_time(1_000)
    answer(rig, "It is noon.")
    steps_ms = rig.last("antiphon.turn.metrics")["steps_ms"]
    assert steps_ms["model_first_text"] == steps_ms["endpoint"] + 1_000 + 2 * 32


def test_a_transcription_that_ends_without_words_is_told_as_empty() -> None:
    rig = Rig()
    rig.speak(SPEECH + END)
    rig.answer(rig.job(Transcribe), Done(engine_ms=1))
    assert rig.last("conversation.item.input_audio_transcription.completed")["transcript"] == ""


def test_the_sessions_language_is_what_is_transcribed() -> None:
    rig = Rig()
    rig.send(
        type="session.update",
        session={"audio": {"input": {"transcription": {"model": "whisper-1", "language": "de"}}}},
    )
    rig.speak(SPEECH + PAUSE)
    assert rig.job(Transcribe).command == Transcribe(final=True, language="de")


@pytest.mark.parametrize("extensions", [False, True])
def test_a_client_that_wants_no_transcripts_gets_none_and_the_model_reads_the_words(
    extensions: bool,
) -> None:
    rig = Rig(extensions=extensions)
    rig.send(type="session.update", session={"audio": {"input": {"transcription": None}}})
    rig.speak("x" * 40)
    while any(isinstance(job.command, Transcribe) for job in rig.jobs.values()):
        rig.transcribe("What time is it")
    rig.speak("x" * 10 + PAUSE)
    rig.transcribe("What time is it?")
    rig.speak("." * 10)
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]
    item_id = rig.last("input_audio_buffer.committed")["item_id"]
    rig.send(type="conversation.item.retrieve", item_id=item_id)
    content = rig.last("conversation.item.retrieved")["item"]["content"]
    assert content == [{"type": "input_audio", "transcript": None}]
    assert [kind for kind in rig.types() if "transcript" in kind] == []


def test_transcripts_that_are_wanted_again_are_sent() -> None:
    rig = Rig()
    for wanted in (None, {"model": "whisper-1"}):
        rig.send(type="session.update", session={"audio": {"input": {"transcription": wanted}}})
    spoken_turn(rig)
    kind = "conversation.item.input_audio_transcription.completed"
    assert rig.last(kind)["transcript"] == "What time is it?"
