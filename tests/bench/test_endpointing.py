"""Rules for the end of a turn on real recordings, with the real models."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from antiphon_gateway.turn_end import Evidence, Sounding
from antiphon_gateway.vad import SileroModel
from antiphon_proto import models
from antiphon_proto.config import Config, Stt
from bench.clips import DEFAULT_CLIPS
from bench.endpoint_rules import (
    Example,
    Judged,
    Outcome,
    Rule,
    asked_again,
    ends_after,
    judge,
    mean,
    newest,
    policy,
    silence,
    unread,
)
from bench.pause_evidence import EvidenceSource, Known
from bench.statistics import wilson_interval
from bench.turn_recordings import Pause, Source, Turn, read_sources, turns_of

REQUESTS = ("what_time_is_it.wav", "would_you_please.wav")


def test_the_interval_of_a_share_holds_it_and_narrows_with_more_trials() -> None:
    low, high = wilson_interval(5, 100)
    assert (round(low, 3), round(high, 3)) == (0.022, 0.112)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_a_rule_decides_by_what_has_arrived_by_then() -> None:
    known = Known((Sounding(96, 0.9),), "What time is it?", -0.2, 0.6)
    seen: list[Evidence] = []

    def rule(evidence: Evidence) -> int:
        seen.append(evidence)
        return 0 if evidence.message_end else 2_000

    assert ends_after(Rule(rule), known) == 254
    assert seen[0] == Evidence()


@pytest.mark.parametrize(("doubt_ms", "ended_ms"), [(200, 254), (900, 354)])
def test_the_sound_comes_late_and_only_in_doubt(doubt_ms: int, ended_ms: int) -> None:
    known = Known((Sounding(64, 0.9),), "What time is it?", -0.2, 0.6)

    def needed(evidence: Evidence) -> int:
        return 0 if evidence.soundings else doubt_ms if evidence.message_end else 2_000

    assert ends_after(Rule(needed, sounds_in_doubt=True), known) == ended_ms


@pytest.mark.parametrize(("combine", "ended_ms"), [(newest, 484), (mean, 740), (min, 928)])
def test_the_sound_is_asked_for_again_while_the_doubt_lasts(
    combine: Callable[[Sequence[float]], float], ended_ms: int
) -> None:
    heard = (Sounding(64, 0.2), Sounding(192, 0.99), Sounding(384, 0.9), Sounding(640, 0.9))
    known = Known(heard, "What time is it?", -0.2, 0.01)

    def needed(evidence: Evidence) -> int:
        return 0 if evidence.soundings and evidence.soundings[0].probability > 0.65 else 928

    again = asked_again(Rule(needed, sounds_in_doubt=True), (384, 640), combine)
    assert ends_after(again, known) == ended_ms


@pytest.mark.parametrize(("goes_on_after_ms", "retractable"), [(700, True), (701, False)])
def test_a_turn_is_taken_up_again_as_long_as_the_product_would(
    goes_on_after_ms: int, retractable: bool
) -> None:
    known = Known((), "What time is it?", -0.2, None)
    lengths_ms = (320 + goes_on_after_ms, 4_200)
    pauses = [Pause(0, each, each == 4_200, inserted=False) for each in lengths_ms]
    source = Source("clip.wav", "a", "b", "What time is it?", np.zeros(0, np.int16), 0, ())
    turn = Turn(source, source.pcm, 0, 0, tuple(pauses), 0)
    example = Example(turn, tuple(Judged(pause, known) for pause in pauses))
    assert judge(silence(320), example) == Outcome(True, retractable, 320)


@pytest.mark.models
def test_requests_with_a_pause_between_their_words_are_kept_whole(tmp_path: Path) -> None:
    config = Config(stt=Stt(threads=1))
    silero = models.find("silero-vad", config.models.directory)
    vad = SileroModel(silero)
    evidence = EvidenceSource(config, tmp_path / "kept.json")
    chosen = [one for one in read_sources(DEFAULT_CLIPS) if one.name in REQUESTS]
    assert len(chosen) == len(REQUESTS)
    for source in chosen:
        said, paused = turns_of(source, vad, inserted=1)
        examples = [
            Example(turn, tuple(Judged(one, evidence.of(turn, one)) for one in turn.pauses))
            for turn in (said, paused)
        ]
        assert [judge(policy(), one).cut_in for one in examples] == [False, False]
        assert judge(policy(), unread(examples[0])).wait_ms >= 480
        assert judge(policy(), examples[0]).wait_ms < 400
        assert judge(silence(200), examples[1]).cut_in
    evidence.close()
