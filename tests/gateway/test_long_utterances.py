"""Utterances of minutes: what is heard once is not transcribed again."""

from session_rig import PAUSE, WINDOW_MS, Rig

from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Done, Failed, Transcribe, Transcript

SECOND = "x" * (1_000 // WINDOW_MS)


def seconds(job: Request) -> float:
    return len(job.payload) / 2 / STT_SAMPLE_RATE_HZ


def committing(rig: Rig) -> Request | None:
    """Return the open job that commits words: a final one while the user speaks."""
    finals = [job for job in rig.jobs.values() if job.command == Transcribe(final=True)]
    return finals[0] if finals else None


def speak_until_committing(rig: Rig, limit_s: int = 20) -> Request:
    """Speak on, without an answer to any partial, until words are to be committed."""
    for _ in range(limit_s):
        rig.speak(SECOND)
        if job := committing(rig):
            return job
    raise AssertionError("nothing is committed")


def finish(rig: Rig, job: Request, text: str) -> None:
    rig.answer(job, Transcript(text=text))
    rig.answer(job, Done(engine_ms=1))


def test_the_audio_is_cut_in_the_quietest_pause() -> None:
    rig = Rig()
    rig.speak(SECOND * 7 + "....." + SECOND * 3)
    job = speak_until_committing(rig)
    assert abs(seconds(job) - 7.02) < 0.1
    assert not job.urgent


def test_speech_without_a_pause_is_cut_all_the_same() -> None:
    job = speak_until_committing(Rig())
    assert 3 <= seconds(job) <= 8.1


def test_the_final_transcript_is_the_committed_words_and_the_rest() -> None:
    rig = Rig()
    rig.speak(SECOND * 7 + "....." + SECOND * 3)
    finish(rig, speak_until_committing(rig), "It was a long day,")
    rig.speak(PAUSE)
    final = rig.job(Transcribe)
    assert seconds(final) < 6
    finish(rig, final, "and then it rained.")
    rig.speak("." * 63)
    completed = rig.last("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "It was a long day, and then it rained."


def test_no_job_of_a_monologue_is_longer_than_whispers_window() -> None:
    rig = Rig()
    words = 0
    for second in range(180):
        rig.speak(SECOND if second % 4 else SECOND[:-5] + ".....")
        for job in list(rig.jobs.values()):
            if isinstance(job.command, Transcribe):
                words += 1
                finish(rig, job, f"word{words} and")
    jobs = [job for job in rig.submissions if isinstance(job.command, Transcribe)]
    assert max(seconds(job) for job in jobs) < 15
    assert [
        event for event in rig.events if event["type"] == "input_audio_buffer.speech_stopped"
    ] == []


def test_committed_words_are_stable_and_what_was_stable_stays() -> None:
    rig = Rig(extensions=True)
    for number in range(40):
        rig.speak(SECOND)
        for job in list(rig.jobs.values()):
            if isinstance(job.command, Transcribe):
                finish(rig, job, f"one two three{number // 3} four five{number} six")
    stable = ""
    for event in rig.events:
        if event["type"] == "antiphon.transcript.partial":
            assert event["stable"].startswith(stable)
            stable = event["stable"]
    assert len(stable.split()) > 12


def test_a_commit_that_failed_is_tried_again_later_not_at_once() -> None:
    rig = Rig()
    first = speak_until_committing(rig)
    rig.answer(first, Failed(code="timed_out", message="late", retryable=False))
    rig.speak(SECOND)
    assert committing(rig) is None
    again = speak_until_committing(rig)
    assert seconds(again) >= seconds(first)


def test_the_next_utterance_has_no_words_of_the_one_before() -> None:
    rig = Rig()
    rig.speak(SECOND * 7 + "....." + SECOND * 3)
    finish(rig, speak_until_committing(rig), "It was a long day,")
    rig.speak("." * 70)
    finish(rig, rig.job(Transcribe), "and then it rained.")
    rig.send(type="response.cancel")
    rig.speak(SECOND + PAUSE)
    finish(rig, rig.job(Transcribe), "Stop.")
    rig.speak("." * 70)
    completed = rig.last("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == "Stop."


def test_an_open_commit_ends_with_the_session() -> None:
    rig = Rig()
    job = speak_until_committing(rig)
    rig.send(type="input_audio_buffer.clear")
    assert job.job_id in rig.cancelled
