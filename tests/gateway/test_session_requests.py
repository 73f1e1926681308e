"""What clients ask a session for: commits, text, cancelling, truncation; and what fails."""

import base64

from session_rig import END, PAUSE, SPEECH, Rig, answer, spoken_turn

from antiphon_proto.config import Config, load
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Done,
    Failed,
    Generate,
    ReadPrompt,
    TextDelta,
    Transcribe,
)


def test_push_to_talk_answers_after_the_transcript() -> None:
    rig = Rig()
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": None}}})
    rig.types()
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    rig.send(type="response.create")
    assert rig.types() == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert not any(isinstance(job.command, Generate) for job in rig.jobs.values())
    rig.transcribe("Hello.")
    assert rig.job(Generate).command.messages[-1] == ChatMessage("user", "Hello.")  # type: ignore[union-attr]


def test_a_commit_alone_asks_for_no_response() -> None:
    rig = Rig()
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": None}}})
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.commit")
    rig.transcribe("Hello.")
    assert rig.jobs == {}


def test_an_empty_commit_is_refused_with_the_clients_event_id() -> None:
    rig = Rig()
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": None}}})
    rig.send(type="input_audio_buffer.commit", event_id="mine")
    error = rig.last("error")["error"]
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert error["event_id"] == "mine"
    assert "100 ms" in error["message"]


def test_a_cleared_buffer_is_not_committed() -> None:
    rig = Rig()
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": None}}})
    rig.speak(SPEECH)
    rig.send(type="input_audio_buffer.clear")
    assert rig.last("input_audio_buffer.cleared")
    rig.send(type="input_audio_buffer.commit")
    assert rig.last("error")["error"]["code"] == "input_audio_buffer_commit_empty"


def test_clearing_in_mid_utterance_ends_its_jobs() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.send(type="input_audio_buffer.clear")
    assert rig.jobs == {}
    rig.types()
    rig.speak(END)
    assert rig.types() == []


def test_a_text_turn_is_answered_in_text() -> None:
    rig = Rig()
    rig.types()
    rig.send(
        type="conversation.item.create",
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
    )
    rig.send(type="response.create", response={"output_modalities": ["text"]})
    rig.generate("Hello", " there.")
    assert rig.types() == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert rig.session.history.conversation.messages("")[-1] == ChatMessage(
        "assistant", "Hello there."
    )


def test_a_second_response_is_refused_while_one_runs() -> None:
    rig = Rig()
    rig.send(type="response.create")
    rig.send(type="response.create", event_id="second")
    error = rig.last("error")["error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "second"


def test_cancelling_ends_the_jobs_and_says_so() -> None:
    rig = Rig()
    rig.send(type="response.create")
    job = rig.job(Generate)
    rig.send(type="response.cancel")
    assert job.job_id in rig.cancelled
    done = rig.last("response.done")["response"]
    assert done["status_details"]["reason"] == "client_cancelled"
    rig.send(type="response.cancel")
    assert rig.last("error")["error"]["code"] == "response_cancel_not_active"


def test_late_results_of_a_cancelled_response_are_dropped() -> None:
    rig = Rig()
    rig.send(type="response.create")
    job = rig.job(Generate)
    rig.send(type="response.cancel")
    rig.types()
    rig.answer(job, TextDelta(text="too late"))
    assert rig.types() == []


def test_truncating_keeps_the_words_that_were_heard() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four.", clause_ms=2_000)
    rig.pass_time(3_000)
    item_id = rig.last("response.done")["response"]["output"][0]["id"]
    rig.send(
        type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1_000
    )
    assert rig.last("conversation.item.truncated")["audio_end_ms"] == 1_000
    rig.send(type="conversation.item.retrieve", item_id=item_id)
    item = rig.last("conversation.item.retrieved")["item"]
    assert item["content"] == [{"type": "output_audio", "transcript": "One two"}]


def test_truncating_past_the_end_keeps_everything() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four.", clause_ms=2_000)
    rig.pass_time(3_000)
    item_id = rig.last("response.done")["response"]["output"][0]["id"]
    rig.send(
        type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=99_000
    )
    rig.send(type="conversation.item.retrieve", item_id=item_id)
    item = rig.last("conversation.item.retrieved")["item"]
    assert item["content"][0]["transcript"] == "One two three four."


def test_a_failed_model_ends_the_response_as_failed() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.answer(
        rig.job(Generate), Failed(code="deadline_exceeded", message="no worker", retryable=True)
    )
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "deadline_exceeded"
    assert rig.jobs == {}


def test_a_speculation_that_failed_is_tried_again_when_the_turn_is_over() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    rig.answer(
        rig.job(Generate), Failed(code="deadline_exceeded", message="no worker", retryable=True)
    )
    rig.speak("." * 10)
    assert isinstance(rig.job(Generate).command, Generate)


def test_a_failed_transcription_is_told_and_the_session_goes_on() -> None:
    rig = Rig()
    rig.speak(SPEECH + END)
    rig.answer(rig.job(Transcribe), Failed(code="poison_job", message="x", retryable=False))
    assert rig.last("conversation.item.input_audio_transcription.failed")
    spoken_turn(rig)
    assert isinstance(rig.job(Generate).command, Generate)


def test_a_response_cut_by_its_token_limit_is_incomplete() -> None:
    rig = Rig()
    rig.send(type="response.create", response={"output_modalities": ["text"]})
    job = rig.generate("Once upon", finish=False)
    rig.answer(job, Done(engine_ms=1, finish_reason="length"))
    done = rig.last("response.done")["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"]["reason"] == "max_output_tokens"


def test_the_turns_timings_are_told_once_and_count_from_the_end_of_speech() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "It is noon.")
    metrics = [event for event in rig.events if event["type"] == "antiphon.turn.metrics"]
    assert len(metrics) == 1
    steps_ms = metrics[0]["steps_ms"]
    assert steps_ms["pause_seen"] == 96
    assert steps_ms["endpoint"] == 480
    assert metrics[0]["voice_to_voice_ms"] == steps_ms["audio_sent"] == max(steps_ms.values())


def test_g711_microphones_are_heard() -> None:
    rig = Rig()
    rig.send(
        type="session.update",
        session={"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
    )
    for _ in range(50):
        rig.send(type="input_audio_buffer.append", audio=base64.b64encode(bytes(160)).decode())
    assert rig.detected_bytes > 0.9 * 50 * 160 * 4


def test_a_response_outside_the_conversation_leaves_no_item() -> None:
    rig = Rig()
    rig.send(
        type="response.create",
        response={"conversation": "none", "output_modalities": ["text"], "instructions": "Say hi."},
    )
    rig.generate("hi")
    assert rig.session.history.conversation.items == ()
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_partials_tell_stable_words_from_unstable_ones() -> None:
    rig = Rig(extensions=True)
    rig.speak("x" * 20)
    rig.transcribe("what dime")
    rig.speak("x" * 20)
    rig.transcribe("What time is")
    rig.speak("x" * 20)
    rig.transcribe("what time is it in")
    partials = [event for event in rig.events if event["type"] == "antiphon.transcript.partial"]
    assert [(event["stable"], event["unstable"]) for event in partials] == [
        ("", "what dime"),
        ("What", "time is"),
        ("What time is", "it in"),
    ]


def test_a_partial_without_words_changes_nothing() -> None:
    rig = Rig(extensions=True)
    for words in ("What time", "", "What time is"):
        rig.speak("x" * 20)
        rig.transcribe(words)
    partials = [event for event in rig.events if event["type"] == "antiphon.transcript.partial"]
    assert [(event["stable"], event["unstable"]) for event in partials] == [
        ("", "What time"),
        ("What time", "is"),
    ]


def test_the_model_reads_ahead_what_was_last_heard() -> None:
    rig = Rig(config=Config())
    rig.speak("x" * 20)
    rig.answer(rig.job(ReadPrompt), Done(engine_ms=1.0))
    rig.transcribe("Turn on the")
    command = rig.job(ReadPrompt).command
    assert isinstance(command, ReadPrompt)
    assert command.messages[-1].content == "Turn on the"


def test_a_pause_ends_the_partials_so_that_the_final_transcript_does_not_wait() -> None:
    rig = Rig(extensions=True)
    rig.speak("x" * 20)
    partial = rig.job(Transcribe)
    rig.speak(PAUSE)
    assert partial.job_id in rig.cancelled
    assert rig.job(Transcribe).command == Transcribe(final=True)


def test_partials_can_be_switched_off() -> None:
    rig = Rig(config=load(environment={}, settings=["turn_taking.partial_interval_ms=0"]))
    rig.speak("x" * 60)
    assert not rig.submitted(Transcribe)


def test_clients_of_the_plain_protocol_get_stable_words_as_deltas() -> None:
    rig = Rig()
    for heard in ("what dime", "What time is", "what time it was", "What time is it in Rome"):
        rig.speak("x" * 20)
        rig.transcribe(heard)
    deltas = [
        event["delta"]
        for event in rig.events
        if event["type"] == "conversation.item.input_audio_transcription.delta"
    ]
    assert deltas == ["What", " time"]
    assert "antiphon.transcript.partial" not in {event["type"] for event in rig.events}


def test_a_stage_that_answers_late_is_asked_less_often() -> None:
    rig = Rig()
    rig.speak("x" * 80)
    assert rig.submitted(Transcribe) == 1
    rig.transcribe("one")
    rig.speak("x" * 80)
    assert rig.submitted(Transcribe) == 1
    rig.speak("x" * 60)
    assert rig.submitted(Transcribe) == 2
