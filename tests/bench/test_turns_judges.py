"""What the turn-taking measurement concludes from records made by hand."""

import math

import pytest

from bench.turns import judge_interruptions as interruptions
from bench.turns import judge_retractions, judge_turns, partials
from bench.turns.figures import Figure
from bench.turns.heard import HistoryError
from bench.turns.judge_turns import CutIn
from bench.turns.record import Record
from bench.turns.sound import RATE_HZ, Sound

from .turns_records import START_S, deleted, done, other, partial, record, reply, sound, turn

SPEECH_S = 2.0


def named(figures: list[Figure], name: str) -> Figure:
    [found] = [figure for figure in figures if figure.name == name]
    return found


def answered() -> Record:
    made = record()
    turn(made, "u1", 2.4, "Turn on the lamp.")
    reply(made, 1, 2.5, 1.0)
    return made


def retracted(said: Sound | None = None) -> Record:
    """The server answers a pause at 0.8 s, the user goes on, the server takes it back."""
    made = record(said=said)
    turn(made, "u1", 0.8, "Turn on.")
    reply(made, 1, 0.9, 2.0)
    done(made, 1, 1.2, "cancelled")
    deleted(made, "u1", 1.2)
    turn(made, "u2", 2.3, "Turn on the lamp.")
    reply(made, 2, 2.6, 1.0)
    return made


def fully_cut_in() -> Record:
    made = record()
    turn(made, "u1", 0.8, "Turn on.")
    reply(made, 1, 0.9, 2.0)
    done(made, 1, 1.2, "cancelled")
    turn(made, "u2", 2.3, "The lamp.")
    reply(made, 2, 2.6, 1.0)
    return made


def test_an_answer_after_the_end_is_no_cut_in():
    made = answered()
    assert judge_turns.cut_in(made) is CutIn.NONE
    assert judge_turns.gap_ms(made) == pytest.approx(500)
    assert judge_turns.endpoint_wait_ms(made) == pytest.approx(400)


def test_an_early_answer_that_is_taken_back_is_retracted():
    assert judge_turns.cut_in(retracted()) is CutIn.RETRACTED
    assert judge_turns.gap_ms(retracted()) == pytest.approx(600)
    assert retracted().understood == "Turn on the lamp."


def paused(quiet_s: tuple[float, float]) -> Sound:
    """A sound of 2 s that is quiet in between."""
    speech = sound()
    samples = speech.samples.copy()
    samples[round(quiet_s[0] * RATE_HZ) : round(quiet_s[1] * RATE_HZ)] = 0
    return speech._replace(samples=samples)


def test_a_retraction_is_timed_from_when_the_user_goes_on_to_silence():
    made = retracted(paused((0.5, 1.05)))
    assert judge_retractions.silences_ms(made) == pytest.approx([150])
    assert judge_retractions.outcome(made) == {"retracted_silence_ms": [150]}


def test_a_pause_that_began_after_the_turn_was_committed_is_not_gone_on_from():
    made = retracted(paused((0.9, 1.15)))
    assert judge_retractions.silences_ms(made) == []


def test_only_retracted_cut_ins_have_a_silence_of_theirs():
    records = [answered(), fully_cut_in(), retracted(paused((0.5, 1.15)))]
    figures = judge_retractions.judge(records)
    silence = named(figures, "going on to silence, retracted, p95")
    assert (silence.n, silence.passed) == (1, True)
    assert silence.value == pytest.approx(50)
    assert judge_retractions.outcome(answered()) == {}
    late = judge_retractions.judge([retracted(paused((0.5, 1.05)))])
    assert named(late, "going on to silence, retracted, p95").passed is False


def test_an_early_answer_is_full_when_its_turn_stays():
    assert judge_turns.cut_in(fully_cut_in()) is CutIn.FULL


def test_an_early_answer_that_goes_on_is_full():
    made = retracted()
    made.log = [(at, e) for at, e in made.log if e.type != "response.done"]
    assert judge_turns.cut_in(made) is CutIn.FULL


def test_an_early_response_that_nobody_heard_is_no_cut_in():
    made = record()
    turn(made, "u1", 0.8, "Turn on.")
    reply(made, 1, 1.0, 0.0)
    done(made, 1, 1.1, "cancelled")
    deleted(made, "u1", 1.1)
    turn(made, "u2", 2.4, "Turn on the lamp.")
    assert judge_turns.cut_in(made) is CutIn.NONE


def test_the_figures_count_full_and_retracted_cut_ins_apart():
    figures = judge_turns.judge([answered(), answered(), retracted(), fully_cut_in()])
    assert named(figures, "cut-in, full").value == 25.0
    assert named(figures, "cut-in, with retracted").value == 50.0
    assert named(figures, "turn ended early, heard or not").value == 50.0
    assert named(figures, "kept as one turn").value == 75.0
    assert named(figures, "gap, p50").n == 3
    assert named(figures, "word error rate").value == 0.0
    assert named(figures, "gap, p50").passed is False
    assert named(figures, "answered").value == 100.0


def interrupted(*, silent_s: float = 0.3) -> Record:
    made = record(over_reply=True)
    reply(made, 1, -2.0, 6.0)
    other(made, "antiphon.duck", 0.05, item_id="reply_1", ducked=True)
    done(made, 1, silent_s, "cancelled")
    turn(made, "u1", 2.3, "Turn on the lamp.")
    reply(made, 2, 2.6, 1.0)
    return made


def undisturbed() -> Record:
    made = record(over_reply=True, asks=False)
    reply(made, 1, -2.0, 6.0)
    other(made, "antiphon.duck", 0.05, item_id="reply_1", ducked=True)
    other(made, "antiphon.duck", 0.4, item_id="reply_1", ducked=False)
    return made


def test_a_barge_in_is_timed_from_the_onset_to_duck_and_silence():
    made = interrupted()
    assert interruptions.duck_ms(made) == pytest.approx(50)
    assert interruptions.silence_ms(made) == pytest.approx(300)
    assert interruptions.killed(made)
    assert made.interrupted_items == {"reply_1"}
    [flush] = made.listener.flushes
    assert flush.played_ms == 2300


def test_a_reply_that_goes_on_was_not_killed():
    made = undisturbed()
    assert not interruptions.killed(made)
    assert interruptions.silence_ms(made) is None
    assert made.interrupted_items == set()
    assert interruptions.ducked_ms(made) == pytest.approx(350)
    assert not made.listener.ducked


def test_a_reply_sent_whole_is_killed_when_the_listener_stops_it():
    made = record(over_reply=True)
    reply(made, 1, -2.0, 6.0)
    done(made, 1, -1.0)
    assert not interruptions.killed(made)
    made.listener.flush(START_S + 0.25)
    assert interruptions.silence_ms(made) == pytest.approx(250)


def test_a_reply_that_ran_dry_is_silent_from_when_it_was_cancelled():
    made = record(over_reply=True)
    reply(made, 1, -2.0, 2.05)
    done(made, 1, 0.25, "cancelled")
    assert made.listener.flushes == []
    assert interruptions.silence_ms(made) == pytest.approx(250)


def test_a_reply_that_ended_before_the_onset_was_not_interrupted():
    made = record(over_reply=True)
    reply(made, 1, -2.0, 1.5)
    assert interruptions.interrupted_reply(made) is None


def test_the_figures_of_barge_ins():
    records = [interrupted(silent_s=0.2), interrupted(), undisturbed()]
    histories = {
        id(records[0]): HistoryError(7, 7, 0, 0),
        id(records[1]): HistoryError(7, 5, 2, 2),
    }
    figures = interruptions.judge_barge_ins(records, histories)
    assert named(figures, "onset to silence, p50").value == pytest.approx(300)
    assert named(figures, "onset to silence, p95").value == math.inf
    assert named(figures, "onset to duck, p95").passed
    assert named(figures, "stopped").value == pytest.approx(200 / 3)
    assert named(figures, "stopped").passed is False
    assert named(figures, "heard history exact").value == 50.0
    assert named(figures, "heard history, most words off").value == 2
    assert named(figures, "next turn answered").value == pytest.approx(200 / 3)


def test_a_barge_in_that_neither_ducks_nor_stops_a_reply_counts_against_both():
    unnoticed = record(over_reply=True)
    reply(unnoticed, 1, -2.0, 6.0)
    unducked = interrupted()
    unducked.log = [(at_s, event) for at_s, event in unducked.log if event.type != "antiphon.duck"]
    [_, duck] = interruptions.judge_barge_ins([unducked], {})[:2]
    assert duck.value == pytest.approx(300)
    figures = interruptions.judge_barge_ins([interrupted(), unnoticed], {})
    assert named(figures, "onset to duck, p95").value == math.inf
    assert named(figures, "onset to silence, p95").passed is False


def test_sounds_that_ask_for_nothing_are_judged_by_what_they_stop_and_start():
    silent = record(asks=False)
    false_turn = record(asks=False)
    turn(false_turn, "u1", 0.5, "Thank you.")
    empty = record(asks=False)
    turn(empty, "u1", 0.5, "")
    figures = interruptions.judge_false([undisturbed(), interrupted(), silent, false_turn, empty])
    assert named(figures, "reply killed").value == 50.0
    assert named(figures, "reply killed").n == 2
    assert named(figures, "new turn over a reply").value == 50.0
    assert named(figures, "reply ducked").value == 100.0
    assert named(figures, "false turn in silence").value == pytest.approx(100 / 3)
    assert named(figures, "words taken for speech").value == 6
    assert named(figures, "words taken for speech").passed is False


def spoken() -> Record:
    """Four words of half a second each, in three partials."""
    made = record(said=sound(2.0, "turn on the lamp"))
    partial(made, 0.7, "", "Turn")
    partial(made, 1.3, "Turn", "on a")
    partial(made, 1.9, "Turn on", "the")
    turn(made, "u1", 2.5, "Turn on the lamp.")
    return made


def test_words_are_timed_from_their_end_to_being_shown_and_stable():
    made = spoken()
    texts = partials.shown_texts(made.log)
    words = [(START_S + (i + 1) / 2, word) for i, word in enumerate(["turn", "on", "the", "lamp"])]
    shown = partials.delays_ms(texts, words, stable=False)
    stable = partials.delays_ms(texts, words, stable=True)
    assert shown == pytest.approx([200, 300, 400, 500])
    assert stable == pytest.approx([800, 900, 1000, 500])
    assert partials.first_partial_ms(made) == pytest.approx(700)


def test_words_said_twice_are_timed_each_at_its_place():
    made = record(said=sound(2.0, "go on go on"))
    partial(made, 0.6, "Go", "")
    partial(made, 2.2, "Go on go on", "")
    words = [(START_S + (i + 1) / 2, word) for i, word in enumerate(["go", "on"] * 2)]
    stable = partials.delays_ms(partials.shown_texts(made.log), words, stable=True)
    assert stable == pytest.approx([100, 1200, 700, 200])


def test_rewritten_words_are_counted_and_stable_ones_among_them():
    assert partials.steadiness(spoken().log) == partials.Steadiness(3, 1, 0)
    made = record()
    partial(made, 0.5, "Turn of", "")
    partial(made, 1.0, "Turn on the", "")
    assert partials.steadiness(made.log) == partials.Steadiness(3, 1, 1)


def test_a_partial_of_a_later_item_takes_nothing_back():
    made = record()
    partial(made, 0.5, "Turn on", "")
    partial(made, 1.0, "", "The lamp", item_id="u2")
    assert partials.steadiness(made.log) == partials.Steadiness(4, 0, 0)
    assert partials.shown_texts(made.log)[-1].shown == ("Turn", "on", "The", "lamp")


def test_figures_of_nothing_are_empty_and_neither_pass_nor_fail():
    figures = judge_turns.judge([]) + judge_retractions.judge([]) + partials.judge([])
    figures += interruptions.judge_barge_ins([], {})
    figures += interruptions.judge_false([])
    assert {figure.passed for figure in figures} == {None}
    assert {figure.value for figure in figures} == {None}
