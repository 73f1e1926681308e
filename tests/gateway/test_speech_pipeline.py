"""Speech from text: words, pace and gaps."""

import pytest

from antiphon_gateway.effects import NoteUnderrun, Submit
from antiphon_gateway.runway import Runway
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speech_pipeline import AudioOut, SpeechPipeline
from antiphon_proto.config import Config, Playout, Tts
from antiphon_proto.messages import AudioDelta, SpokenWord, Synthesize

SOURCE_HZ = 24_000
SECOND = bytes(2 * SOURCE_HZ)


class Speech:
    """A released pipeline, its jobs answered by hand."""

    def __init__(self, *, rate_hz: int = SOURCE_HZ, config: Config | None = None) -> None:
        self.context = SessionContext(config or Config(), session_id="sess_1", extensions=True)
        self.pipeline = SpeechPipeline(self.context, voice="", speed=1.0, sample_rate_hz=rate_hz)
        self.jobs: list[tuple[str, str]] = []
        self.commands: list[Synthesize] = []
        self.patience_ms: list[int] = []
        self.gaps_ms: list[float] = []
        self.sent = 0

    def advance(self, now_ms: float) -> None:
        for out in self.pipeline.advance(now_ms, released=True):
            self.sent += len(out.pcm) // 2 if isinstance(out, AudioOut) else 0
        for effect in self.context.take_effects():
            if isinstance(effect, Submit) and isinstance(effect.request.command, Synthesize):
                self.commands.append(effect.request.command)
                self.patience_ms.append(effect.request.patience_ms)
                self.jobs.append((effect.request.job_id, effect.request.command.text))
            elif isinstance(effect, NoteUnderrun):
                self.gaps_ms.append(effect.gap_ms)

    def say(self, text: str, now_ms: float = 0.0, *, last: bool = False) -> None:
        self.pipeline.feed(text)
        if last:
            self.pipeline.finish_text()
        self.advance(now_ms)

    def answer(
        self, number: int, pcm: bytes, now_ms: float, *words: tuple[int, int], end: bool = True
    ) -> None:
        """Answer a job with audio and words, each its end in the text and in samples."""
        spoken = tuple(SpokenWord(end_character=at, end_sample=end) for at, end in words)
        job_id = self.jobs[number][0]
        self.pipeline.on_audio(job_id, AudioDelta(sample_rate_hz=SOURCE_HZ, words=spoken), pcm)
        if end:
            self.pipeline.on_end(job_id)
        self.advance(now_ms)


@pytest.mark.parametrize("rate_hz", [8_000, 24_000])
def test_words_are_heard_when_the_engine_says_so_at_any_rate(rate_hz: int) -> None:
    speech = Speech(rate_hz=rate_hz)
    speech.say("A $5 hat. ", last=True)
    assert speech.jobs[0][1] == "A 5 dollars hat."
    speech.answer(0, SECOND, 0, (1, 2_400), (3, 4_800), (11, 19_200), (16, 24_000))
    heard = {ms: speech.pipeline.spoken.heard(rate_hz * ms // 1000) for ms in (60, 440, 460, 890)}
    assert heard == {60: "A", 440: "A", 460: "A $5", 890: "A $5"}
    assert speech.pipeline.spoken.heard(rate_hz) == "A $5 hat."


def test_words_repeated_by_a_job_made_again_change_nothing() -> None:
    speech = Speech()
    speech.say("One two three. ", last=True)
    speech.answer(0, SECOND[:24_000], 0, (3, 4_000), (7, 12_000), end=False)
    speech.answer(0, SECOND[24_000:], 0, (3, 4_000), (7, 12_000), (14, 24_000))
    assert speech.pipeline.spoken.heard(17_900) == "One two"
    assert speech.pipeline.spoken.heard(18_000) == "One two three."


def test_a_clause_whose_audio_is_still_coming_is_not_taken_for_heard() -> None:
    speech = Speech()
    speech.say("One two three. ", last=True)
    speech.answer(0, SECOND[:24_000], 0, (3, 4_000), (7, 12_000), end=False)
    assert speech.pipeline.spoken.heard(99_999) == "One two"


def test_audio_that_comes_after_the_listener_ran_dry_is_an_underrun() -> None:
    speech = Speech()
    speech.say("One two three. Four five six.", last=True)
    speech.answer(0, SECOND, 0)
    speech.answer(1, SECOND, 1_300)
    assert speech.pipeline.underruns == 1
    assert speech.gaps_ms == [pytest.approx(300, abs=1)]


def test_audio_that_comes_in_time_is_no_underrun() -> None:
    speech = Speech()
    speech.say("One two three. Four five six.", last=True)
    speech.answer(0, SECOND, 500)
    speech.answer(1, SECOND, 1_400)
    for now_ms in range(1_400, 4_000, 50):
        speech.advance(now_ms)
    assert speech.sent == 2 * SOURCE_HZ
    assert speech.pipeline.underruns == 0
    assert speech.gaps_ms == []


def test_pacing_of_the_sender_is_no_underrun() -> None:
    speech = Speech(config=Config(playout=Playout(unreported_lead_ms=100)))
    speech.say("One two three.", last=True)
    speech.answer(0, 3 * SECOND, 0)
    for now_ms in range(0, 3_500, 30):
        speech.advance(now_ms)
    assert speech.sent == 3 * SOURCE_HZ
    assert speech.pipeline.underruns == 0


STORY = "There was a king in a castle by the sea, who had a very old dog, and it slept. Well"


def test_a_sentence_is_cut_while_the_listener_has_little_audio_left() -> None:
    speech = Speech()
    speech.say("It is so. I")
    speech.say(" know it. " + STORY)
    speech.answer(0, SECOND[:9_600], 0)
    speech.advance(300)
    assert [text for _, text in speech.jobs] == [
        "It is so.",
        "I know it.",
        "There was a king in a castle",
    ]


def test_sentences_are_whole_while_the_listener_has_enough() -> None:
    speech = Speech()
    speech.say("It is so. I")
    speech.answer(0, 3 * SECOND, 0)
    speech.say(" know it. " + STORY)
    assert speech.jobs[1][1] == "I know it."
    assert speech.jobs[2][1].endswith("slept.")


def contexts(*texts: str, last: bool = True, config: Config | None = None) -> list[tuple[str, ...]]:
    """Return what precedes, is and follows each part of a text, all jobs answered."""
    speech = Speech(config=config)
    for text in texts:
        speech.say(text)
    if last:
        speech.say("", last=True)
    for number in range(9):
        if number < len(speech.jobs):
            speech.answer(number, SECOND, 0)
    return [(job.preceding, job.text, job.following) for job in speech.commands]


def test_a_part_of_a_sentence_is_spoken_within_its_sentence() -> None:
    assert contexts("The capital of France is Paris. It is old.") == [
        ("", "The capital of France", " is Paris."),
        ("The capital of France ", "is Paris.", ""),
        ("", "It is old.", ""),
    ]


def test_words_that_are_not_known_yet_are_stood_for() -> None:
    assert contexts("Yes, you can, b", last=False) == [("", "Yes, you can,", " and so")]


def test_only_whole_words_follow() -> None:
    assert contexts("The capital of France is Par", last=False)[0][2] == " is"


def test_context_can_be_switched_off() -> None:
    config = Config(tts=Tts(sentence_context=False))
    assert contexts("The capital of France is Paris.", config=config) == [
        ("", "The capital of France", ""),
        ("", "is Paris.", ""),
    ]


def test_hurry_can_be_switched_off() -> None:
    speech = Speech(config=Config(tts=Tts(hurry=False)))
    speech.say("It is so. I know it. " + STORY)
    speech.answer(0, SECOND[:9_600], 0)
    assert speech.jobs[2][1].endswith("slept.")


def test_slow_synthesis_needs_more_audio_ahead() -> None:
    runway = Runway()
    assert not runway.is_short(1_500)
    for _ in range(5):
        runway.note_latency(1_000)
    assert runway.is_short(1_500)
    for _ in range(9):
        runway.note_latency(50)
    assert not runway.is_short(1_000)


def test_a_voice_slower_than_speech_wants_more_audio_ahead() -> None:
    runway = Runway()
    assert not runway.is_short(2_000)
    runway.note_pace(900, 300)
    assert not runway.is_short(2_000)
    runway.note_pace(3_000, 2_000)
    assert runway.is_short(2_000)
    assert not runway.is_short(3_200)
    for _ in range(3):
        runway.note_pace(200, 2_000)
    assert not runway.is_short(2_000)


def test_the_pace_of_a_clause_is_measured_from_its_first_audio_to_its_end() -> None:
    cuts = []
    for took_ms in (100, 3_000):
        speech = Speech()
        speech.say("One two three. Four five ")
        speech.answer(0, SECOND, 100, end=False)
        speech.answer(0, SECOND * 2, 100 + took_ms)
        begun = 100 + took_ms
        speech.say("six seven eight, nine ten eleven twelve thirteen and ", begun)
        cuts.append(len(speech.jobs))
    assert cuts[0] == 1 < cuts[1]


def test_a_clause_may_wait_for_a_voice_while_its_listener_has_enough_to_hear() -> None:
    speech = Speech(config=Config(playout=Playout(lead_ms=400, unreported_lead_ms=400)))
    speech.say("One two three. Four five six. Seven eight nine. ", last=True)
    first, second = speech.patience_ms
    assert first == 0, "nothing is ahead of it"
    assert second == len("One two three.") * 65 - 2 * 200, "the first clause is still to be made"
    speech.answer(0, 3 * SECOND, 100)
    third = speech.patience_ms[2]
    assert 3_000 < third <= 3_000 + len("Four five six.") * 65
    assert third < 3_000 + len("Four five six.") * 65 - 2 * 100, "its making takes time"
