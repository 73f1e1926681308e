"""How fast sessions are let in after a refusal."""

from antiphon_gateway.newcomers import CAUTION_MS, UNPROVEN_MS, Newcomers


def test_without_a_refusal_anybody_may_come() -> None:
    newcomers = Newcomers()
    for _ in range(100):
        newcomers.entered(0)
    assert newcomers.crowded({"llm": 1}, 0) == frozenset()


def test_after_a_refusal_only_as_many_as_there_are_free_slots_come_at_once() -> None:
    newcomers = Newcomers()
    newcomers.refused(0)
    free = {"llm": 2, "tts": 9}
    for _ in range(2):
        assert newcomers.crowded(free, 10) == frozenset()
        newcomers.entered(10)
    assert newcomers.crowded(free, 11) == {"llm"}
    assert newcomers.crowded(free, 11 + UNPROVEN_MS) == frozenset()


def test_a_stage_without_a_free_slot_lets_nobody_in_until_the_caution_ends() -> None:
    newcomers = Newcomers()
    newcomers.refused(0)
    assert newcomers.crowded({"llm": 0}, CAUTION_MS - 1) == {"llm"}
    assert newcomers.crowded({"llm": 0}, CAUTION_MS) == frozenset()


def test_the_caution_lasts_as_long_as_newcomers_keep_others_out() -> None:
    newcomers = Newcomers()
    newcomers.refused(0)
    later_ms = CAUTION_MS - 1
    newcomers.entered(later_ms)
    assert newcomers.crowded({"llm": 1}, later_ms) == {"llm"}
    newcomers.kept_out(later_ms)
    newcomers.entered(later_ms + CAUTION_MS - 1)
    assert newcomers.crowded({"llm": 1}, later_ms + CAUTION_MS - 1) == {"llm"}


def test_the_caution_ends_when_newcomers_keep_nobody_out_whoever_looks() -> None:
    newcomers = Newcomers()
    newcomers.refused(0)
    newcomers.entered(CAUTION_MS - 1)
    assert newcomers.crowded({"llm": 1}, CAUTION_MS - 1) == {"llm"}
    assert newcomers.crowded({"llm": 1}, CAUTION_MS) == frozenset()


def test_who_is_kept_out_by_no_newcomer_does_not_prolong_the_caution() -> None:
    newcomers = Newcomers()
    newcomers.refused(0)
    newcomers.kept_out(CAUTION_MS - 1)
    assert newcomers.crowded({"llm": 0}, CAUTION_MS) == frozenset()
