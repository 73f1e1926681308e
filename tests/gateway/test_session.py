"""A session's turns: what the client is sent, what the workers are asked, what interrupts."""

import base64

from session_rig import Rig

from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.messages import (
    ChatMessage,
    Done,
    Failed,
    Generate,
    Synthesize,
    TextDelta,
    Transcribe,
)

SPEECH = "x" * 20
PAUSE = "." * 7
"""224 ms: the final transcript is asked for."""
END = "." * 63
"""2,016 ms: the hard end of `semantic_vad`, `auto`."""


def spoken_turn(rig: Rig, text: str = "What time is it?") -> None:
    """Let the user say something complete and fall silent."""
    rig.speak(SPEECH + PAUSE)
    rig.transcribe(text)
    rig.speak("." * 10)


def answer(rig: Rig, *clauses: str, clause_ms: int = 500) -> None:
    """Let the workers answer in clauses of the same length."""
    rig.generate(*clauses)
    for _ in clauses:
        rig.synthesize(clause_ms)


def test_the_first_event_is_the_session() -> None:
    rig = Rig()
    session = rig.last("session.created")["session"]
    assert session["id"] == "sess_1"
    assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


def test_a_spoken_turn_sends_every_event_in_order() -> None:
    rig = Rig()
    rig.types()
    spoken_turn(rig)
    answer(rig, "It is noon.")
    rig.pass_time(1_000)
    assert rig.types() == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert rig.audio_ms() == 500


def test_the_transcript_is_asked_for_in_the_pause_and_the_model_before_the_end() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    job = rig.job(Transcribe)
    assert len(job.payload) == 2 * 512 * 27
    rig.transcribe("What time is it?")
    assert rig.job(Generate).command == Generate(
        messages=(
            ChatMessage("system", Config().llm.instructions),
            ChatMessage("user", "What time is it?"),
        ),
        max_output_tokens=Config().llm.max_output_tokens,
        temperature=Config().llm.temperature,
    )
    assert "input_audio_buffer.speech_stopped" not in rig.types()


def test_speculative_audio_is_held_until_the_turn_is_over() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    answer(rig, "It is noon.")
    rig.pass_time(100)
    assert rig.audio == []
    rig.speak("." * 10)
    assert rig.audio_ms() == 500


def test_going_on_after_a_pause_voids_what_was_prepared() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time.")
    model = rig.generate("It is", finish=False)
    rig.types()
    rig.speak(SPEECH)
    assert model.job_id in rig.cancelled
    assert rig.types() == []
    spoken = rig.jobs
    assert spoken == {}
    rig.speak(PAUSE)
    assert rig.job(Transcribe).revision == 1
    rig.transcribe("What time is it in Oslo?")
    rig.speak("." * 10)
    assert rig.last("conversation.item.input_audio_transcription.completed")["transcript"] == (
        "What time is it in Oslo?"
    )


def test_an_unfinished_sentence_is_given_more_time() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("I would like to")
    rig.speak("." * 40)
    assert "input_audio_buffer.speech_stopped" not in rig.types()
    rig.speak("." * 20)
    assert "input_audio_buffer.speech_stopped" in rig.types()


def test_speculation_can_be_turned_off() -> None:
    rig = Rig(config=Config(turn_taking=TurnTaking(speculation=False)))
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    assert rig.jobs == {}
    rig.speak("." * 10)
    assert isinstance(rig.job(Generate).command, Generate)


def test_a_cough_gets_no_response() -> None:
    rig = Rig()
    rig.speak("x" * 5 + PAUSE)
    rig.transcribe("")
    rig.speak(END)
    assert rig.last("conversation.item.input_audio_transcription.completed")["transcript"] == ""
    assert "response.created" not in rig.types()
    assert rig.jobs == {}


def test_barge_in_stops_the_response_and_keeps_what_was_heard() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", " Seven eight nine ten.", clause_ms=2_000)
    rig.pass_time(1_000)
    rig.types()
    sent_ms = rig.audio_ms()
    rig.speak("x" * 8)
    types = rig.types()
    onset = types.index("input_audio_buffer.speech_started")
    assert types[onset + 1 :] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    rig.pass_time(5_000)
    assert rig.audio_ms() - sent_ms <= 8 * 32
    assert rig.types() == []
    heard = rig.session.history.conversation.messages("")[-1]
    assert heard.role == "assistant"
    assert heard.content == "One two three four"


def test_the_cancelled_response_says_why() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    rig.speak("x" * 8)
    done = rig.last("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"


def test_a_short_noise_does_not_stop_the_response() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    rig.types()
    rig.speak("x" * 5 + "." * 10)
    assert "input_audio_buffer.speech_started" not in rig.types()
    rig.pass_time(4_000)
    assert rig.audio_ms() == 3_000


def test_without_interrupt_response_the_next_turn_waits_for_the_response_to_end() -> None:
    rig = Rig()
    rig.send(
        type="session.update",
        session={"audio": {"input": {"turn_detection": {"interrupt_response": False}}}},
    )
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("And now?")
    rig.speak("." * 10)
    assert rig.jobs == {}
    rig.pass_time(4_000)
    assert rig.last("response.done")["response"]["status"] == "completed"
    assert rig.job(Generate).command.messages[-1] == ChatMessage("user", "And now?")  # type: ignore[union-attr]


def test_audio_is_paced_ahead_of_the_listener() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    assert rig.audio_ms() <= 1_000 + 40
    rig.pass_time(1_000)
    assert 1_900 <= rig.audio_ms() <= 2_080


def test_a_client_that_reports_playout_gets_its_audio_later() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    item_id = rig.last("antiphon.audio.started")["item_id"]
    rig.pass_time(500)
    rig.send(type="antiphon.playout", item_id=item_id, played_ms=400, buffered_ms=600)
    sent_ms = rig.audio_ms()
    rig.pass_time(500)
    assert rig.audio_ms() <= max(sent_ms, 400 + 500 + 400 + 40)


def test_the_clauses_are_spoken_in_order_whatever_finishes_first() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.generate("One two three four. ", "Five six seven eight.")
    first, second = [job for job in rig.jobs.values() if isinstance(job.command, Synthesize)]
    rig.jobs = {second.job_id: second, first.job_id: first}
    rig.synthesize(500)
    assert rig.audio == []
    rig.synthesize(500)
    deltas = [event["delta"] for event in rig.events if event["type"].endswith("transcript.delta")]
    assert "".join(deltas).split() == [
        "One",
        "two",
        "three",
        "four.",
        "Five",
        "six",
        "seven",
        "eight.",
    ]
    assert rig.audio_ms() == 1_000


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
    assert steps_ms["pause_seen"] == 224
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


def test_a_pause_ends_the_partials_so_that_the_final_transcript_does_not_wait() -> None:
    rig = Rig(extensions=True)
    rig.speak("x" * 20)
    partial = rig.job(Transcribe)
    rig.speak(PAUSE)
    assert partial.job_id in rig.cancelled
    assert rig.job(Transcribe).command == Transcribe(final=True)


def test_clients_that_cannot_show_partials_cost_none() -> None:
    rig = Rig()
    rig.speak("x" * 60)
    assert rig.jobs == {}
