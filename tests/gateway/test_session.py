"""A session's spoken turns: what the client is sent, what is asked for, what interrupts."""

from session_rig import END, PAUSE, SPEECH, Rig, answer, spoken_turn

from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Generate,
    Synthesize,
    Transcribe,
)


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
    assert len(job.payload) == 2 * 512 * 23
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


def test_nothing_is_prepared_for_a_sentence_that_hangs_until_its_turn_is_over() -> None:
    rig = Rig()
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("I would like to")
    assert rig.submitted(Generate) == 0
    rig.speak("." * 60)
    assert rig.submitted(Generate) == 1


def test_speculation_can_be_turned_off() -> None:
    rig = Rig(config=Config(turn_taking=TurnTaking(speculation=False)))
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    assert rig.submitted(Generate) == 0
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
    rig.speak("x" * 15)
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
    assert rig.audio_ms() - sent_ms <= 15 * 32
    assert rig.types() == []
    heard = rig.session.history.conversation.messages("")[-1]
    assert heard.role == "assistant"
    assert heard.content == "One two three four"


def test_the_cancelled_response_says_why() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    rig.speak("x" * 15)
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
    sent_ms = rig.audio_ms()
    there_ms = round(sent_ms) - 400
    rig.send(type="antiphon.playout", item_id=item_id, played_ms=400, buffered_ms=there_ms)
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
