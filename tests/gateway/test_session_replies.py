"""How replies are spoken, cut and remembered when something is odd."""

import pytest
from session_rig import Rig, answer, history, spoken_turn

from antiphon_proto.config import Config, Playout
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    Failed,
    Synthesize,
)


@pytest.mark.parametrize("text", ["", "👍", "***"])
def test_an_answer_without_a_word_to_speak_ends_the_response(text: str) -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.generate(text)
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_an_answer_that_ends_with_nothing_to_speak_ends_the_response() -> None:
    rig = Rig()
    spoken_turn(rig)
    job = rig.generate("Good day to you. ", "👍 ", finish=False)
    rig.synthesize(500)
    rig.answer(job, Done(engine_ms=1))
    rig.pass_time(1_000)
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_a_reply_goes_on_when_all_that_was_synthesised_left_at_once() -> None:
    rig = Rig(config=Config(playout=Playout(unreported_lead_ms=20_000)))
    spoken_turn(rig)
    rig.generate("One two three four. ", "Five six seven eight. ", "Nine ten eleven. ", "Twelve.")
    for _ in range(4):
        rig.synthesize(3_000)
    rig.pass_time(12_000)
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_clauses_behind_one_that_hangs_are_not_all_synthesised() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.generate(*(f"This is sentence number {number} of many. " for number in range(10)))
    for _ in range(10):
        later = [job for job in rig.jobs.values() if isinstance(job.command, Synthesize)][1:]
        for job in later:
            rig.answer(job, AudioDelta(sample_rate_hz=24_000), bytes(48_000))
            rig.answer(job, Done(engine_ms=1))
    assert len([job for job in rig.jobs.values() if isinstance(job.command, Synthesize)]) == 1
    assert rig.submitted(Synthesize) == 2


def test_clauses_whose_audio_arrives_interleaved_do_not_mix() -> None:
    def reply(order: list[int]) -> bytes:
        rig = Rig()
        rig.send(
            type="session.update",
            session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}},
        )
        spoken_turn(rig)
        rig.generate("One two three four. ", "Five six seven eight.")
        jobs = [job for job in rig.jobs.values() if isinstance(job.command, Synthesize)]
        for number in order:
            sample = [b"\x00\x10", b"\x00\xf0"][number]
            rig.answer(jobs[number], AudioDelta(sample_rate_hz=24_000), sample * 4_800)
        for job in jobs:
            rig.answer(job, Done(engine_ms=1))
        rig.pass_time(2_000)
        return b"".join(audio.pcm for audio in rig.audio)

    assert reply([0, 1, 0, 1]) == reply([0, 0, 1, 1])
    assert len(reply([0, 1])) == 2 * 2 * 1_600


def test_a_lead_of_nothing_still_sends_the_audio() -> None:
    rig = Rig(config=Config(playout=Playout(unreported_lead_ms=0)))
    spoken_turn(rig)
    answer(rig, "It is noon.")
    rig.pass_time(2_000)
    assert rig.last("response.done")["response"]["status"] == "completed"


def test_while_a_client_is_behind_it_is_handed_no_audio_and_loses_none() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "One two three four.", clause_ms=4_000)
    before_ms = rig.audio_ms()
    rig.session.context.behind = True
    rig.pass_time(10_000)
    assert rig.audio_ms() == before_ms < 4_000
    rig.session.context.behind = False
    rig.pass_time(4_000)
    assert rig.audio_ms() == 4_000
    ends = [audio.first_sample + len(audio.pcm) // 2 for audio in rig.audio]
    assert [audio.first_sample for audio in rig.audio] == [0, *ends[:-1]]


def test_a_playout_report_does_not_undo_a_cut() -> None:
    rig = Rig(extensions=True)
    spoken_turn(rig)
    answer(rig, "One two three four.", clause_ms=2_000)
    rig.pass_time(1_990)
    item_id = rig.last("response.done")["response"]["output"][0]["id"]
    rig.send(
        type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1_000
    )
    rig.send(type="antiphon.playout", item_id=item_id, played_ms=1_000, buffered_ms=0)
    assert history(rig)[-1] == ("assistant", "One two")


def test_what_a_client_says_was_heard_takes_the_place_of_the_estimate_once() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    item_id = rig.last("response.output_item.added")["item"]["id"]
    rig.pass_time(1_000)
    rig.speak("x" * 20)
    assert rig.last("response.done")["response"]["status"] == "cancelled"
    estimated = history(rig)[-1][1]
    assert "One two" in estimated
    assert "four" not in estimated
    for audio_end_ms, kept in ((2_000, "One two three four"), (3_000, "One two three four")):
        rig.send(
            type="conversation.item.truncate",
            item_id=item_id,
            content_index=0,
            audio_end_ms=audio_end_ms,
        )
        assert history(rig)[-1] == ("assistant", kept)


def test_a_response_cut_while_it_runs_keeps_only_what_was_heard() -> None:
    rig = Rig()
    spoken_turn(rig)
    answer(rig, "One two three four five six.", clause_ms=3_000)
    item_id = rig.last("response.output_item.added")["item"]["id"]
    rig.pass_time(1_500)
    rig.send(
        type="conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1_000
    )
    rig.pass_time(5_000)
    assert rig.last("response.done")
    assert history(rig)[-1] == ("assistant", "One two")
    item = rig.session.history.conversation.retrieve(item_id)
    assert item.status == "incomplete"


def test_an_ended_response_has_no_open_jobs() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.send(type="response.cancel")
    assert rig.session.open_jobs() == ()


def test_a_failed_job_is_not_cancelled_but_the_others_are() -> None:
    rig = Rig()
    spoken_turn(rig)
    model = rig.generate("One two three four. ", "Five six.", finish=False)
    speech = rig.job(Synthesize)
    rig.answer(speech, Failed(code="poison_job", message="x", retryable=False))
    assert model.job_id in rig.cancelled
    assert speech.job_id not in rig.cancelled
    assert rig.session.open_jobs() == ()


def test_speech_that_failed_leaves_the_words_that_were_sent() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.generate("One two three four. ", "Five six seven eight.")
    rig.synthesize(500)
    speech = rig.job(Synthesize)
    rig.answer(speech, AudioDelta(sample_rate_hz=24_000), bytes(48 * 2_000))
    rig.answer(speech, Failed(code="poison_job", message="x", retryable=False))
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    sent_ms = rig.audio_ms()
    assert sent_ms < 2_000
    text = done["output"][0]["content"][0]["transcript"]
    assert text.startswith("One two three four.")
    assert not text.endswith("eight.")


def test_a_result_behind_the_last_one_of_its_job_is_dropped() -> None:
    rig = Rig()
    spoken_turn(rig)
    rig.generate("One two three four. ", "Five six seven eight.")
    second = [job for job in rig.jobs.values() if isinstance(job.command, Synthesize)][1]
    rig.answer(second, AudioDelta(sample_rate_hz=22_050), bytes(4_410))
    rig.answer(second, Done(engine_ms=1))
    rig.answer(second, AudioDelta(sample_rate_hz=22_050), bytes(4_410))
    rig.synthesize(500)
    assert rig.audio_ms() == pytest.approx(600, abs=1)
