"""What a turn makes of the messages of its session."""

import pytest

from antiphon import events
from antiphon.connection import Audio
from antiphon.turn import Turn

LOUD = b"\x00\x10" * 1600
QUIET = bytes(3200)


def note(turn: Turn, *messages, at_s: float = 0.0) -> None:
    for message in messages:
        turn.note(message, at_s)


def audio(pcm: bytes, received_s: float, response_id: str = "r1") -> Audio:
    return Audio(response_id, "i1", 16_000, pcm, received_s)


def parsed(type_: str, **fields) -> events.Event:
    return events.KINDS[type_](type=type_, **fields)


def transcript(text: str, item_id: str = "u1") -> events.Event:
    return parsed(
        "conversation.item.input_audio_transcription.completed", item_id=item_id, transcript=text
    )


def created(id_: str = "r1") -> events.Event:
    return parsed("response.created", response=events.Response(id_))


def done(id_: str = "r1", status: str = "completed", reason: str | None = None) -> events.Event:
    details = events.StatusDetails(reason=reason)
    return parsed("response.done", response=events.Response(id_, status, details))


def delta(text: str, id_: str = "r1") -> events.Event:
    return parsed("response.output_audio_transcript.delta", response_id=id_, delta=text)


STARTED = parsed("input_audio_buffer.speech_started")
STOPPED = parsed("input_audio_buffer.speech_stopped")
COMMITTED = parsed("input_audio_buffer.committed", item_id="u1")


def test_text_and_audio_of_the_reply_are_gathered():
    turn = Turn()
    note(turn, STARTED, STOPPED, COMMITTED, transcript(" hello "), created())
    note(turn, delta("Good "), audio(LOUD, 1.0), delta("day."), audio(LOUD, 1.1), done())
    assert turn.transcript == "hello"
    assert turn.answered
    assert turn.reply
    assert turn.reply.text == "Good day."
    assert bytes(turn.reply.pcm) == LOUD * 2
    assert turn.reply.audio_ms == 200


def test_the_first_sound_is_heard_after_the_quiet_start_has_been_played():
    turn = Turn()
    note(turn, created(), audio(QUIET, 5.0), audio(LOUD, 5.02))
    assert turn.reply
    assert turn.reply.first_sample_s == 5.0
    assert turn.reply.audible_s == pytest.approx(5.1)


def test_sound_that_arrives_late_is_heard_on_arrival():
    turn = Turn()
    note(turn, created(), audio(QUIET, 5.0), audio(LOUD, 6.0))
    assert turn.reply
    assert turn.reply.audible_s == pytest.approx(6.0)


def test_a_reply_that_was_given_up_is_not_the_answer():
    turn = Turn()
    note(turn, STARTED, STOPPED, COMMITTED, transcript("turn on"), created(), delta("What?"))
    note(turn, audio(LOUD, 1.0), STARTED, done("r1", "cancelled", "turn_detected"))
    assert not turn.answered
    note(turn, parsed("conversation.item.deleted", item_id="u1"), STOPPED)
    note(turn, parsed("input_audio_buffer.committed", item_id="u2"))
    note(turn, transcript("turn on the lamp", "u2"))
    assert not turn.answered
    note(turn, created("r2"), delta("Done.", "r2"), audio(LOUD, 2.0, "r2"), done("r2"))
    assert turn.answered
    assert turn.reply
    assert turn.reply.text == "Done."
    assert turn.transcript == "turn on the lamp"
    assert len(turn.replies) == 2


def test_words_that_wait_for_their_answer_keep_the_turn_open():
    turn = Turn()
    note(turn, COMMITTED, created(), done())
    assert turn.answered
    note(turn, STARTED)
    assert not turn.answered
    note(turn, STOPPED, parsed("input_audio_buffer.committed", item_id="u2"))
    assert not turn.answered
    note(turn, transcript("", "u2"))
    assert turn.answered


def test_timings_go_to_the_response_they_are_about():
    turn = Turn()
    steps = {"audio_sent": 300.0}
    note(turn, created("r1"), created("r2"))
    note(turn, parsed("antiphon.turn.metrics", response_id="r1", steps_ms=steps))
    assert [reply.steps_ms for reply in turn.replies] == [steps, {}]


def test_the_first_missing_step_is_named():
    turn = Turn()
    seen = [turn.missing]
    reply = (created(), delta("Hi"), audio(LOUD, 1.0), done())
    more = (STARTED, parsed("input_audio_buffer.committed", item_id="u2"))
    for message in (STARTED, STOPPED, transcript("hi"), *reply, *more):
        note(turn, message)
        seen.append(turn.missing)
    assert seen == [
        "the server heard no speech",
        "the speech was heard but its end was not seen",
        "the end of the speech was seen but there is no transcript",
        "the speech was transcribed but no response was begun",
        "the response has no text yet",
        "there is text but no audio",
        "the reply has not ended",
        "the reply is still being played",
        "the server still hears speech",
        "what was said last has no reply",
    ]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (parsed("error", error=events.ErrorBody("the model is gone")), "the model is gone"),
        (parsed("error", error=events.ErrorBody()), "the server reported an error"),
        (
            parsed(
                "conversation.item.input_audio_transcription.failed",
                item_id="u1",
                error=events.ErrorBody("no worker"),
            ),
            "the speech was not transcribed: no worker",
        ),
    ],
)
def test_an_error_of_the_server_is_the_turns_failure(event: events.Event, text: str):
    turn = Turn()
    note(turn, event)
    assert turn.failure == text


def test_the_wait_for_a_long_reply_begins_anew_with_each_piece_of_it():
    turn = Turn()
    note(turn, STARTED, STOPPED, COMMITTED, transcript("why?"), at_s=1.0)
    assert turn.progress_s == 0.0
    note(turn, created(), at_s=2.0)
    note(turn, delta("Because "), audio(LOUD, 3.0), at_s=61.0)
    note(turn, parsed("antiphon.turn.metrics", response_id="r1"), at_s=62.0)
    assert turn.progress_s == 61.0


def test_the_sources_of_a_reply_are_known() -> None:
    turn = Turn()
    cited = (events.Citation("a.md"), events.Citation("b.md"), events.Citation("a.md"))
    note(turn, parsed("antiphon.citations", response_id="r1", item_id="i1", citations=cited))
    assert turn.replies[0].sources == "a.md, b.md"
