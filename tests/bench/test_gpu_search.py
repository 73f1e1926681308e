"""How many conversations a card carries: which counts are tried, and when each speaks."""

import pytest

from bench.gpu.search import TURN_S, Search, turns_s


def found(capacity: int, first: int = 1, most: int = 1_000) -> tuple[int, list[int]]:
    search, tried = Search(first, most), []
    while (count := search.next) is not None:
        tried.append(count)
        search.tell(count, held=count <= capacity)
    return search.held, tried


@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 10, 50, 99, 640])
def test_the_largest_that_holds_is_found_to_a_tenth(capacity: int) -> None:
    held, tried = found(capacity)
    assert 0.9 * capacity <= held <= capacity
    assert len(tried) < 15
    assert len(set(tried)) == len(tried)


def test_what_holds_nothing_is_zero() -> None:
    assert found(0) == (0, [1])
    assert found(0, first=8)[0] == 0


def test_nothing_beyond_the_most_is_tried() -> None:
    held, tried = found(1_000, first=4, most=25)
    assert held == 25
    assert tried == [4, 8, 16, 25]


def test_each_conversation_has_a_turn_in_its_time() -> None:
    turns = turns_s(50, 24.0, seed=3)
    assert [len(each) for each in turns] == [3] * 50
    firsts = [each[0] for each in turns]
    assert all(0 <= first < TURN_S for first in firsts)
    assert len(set(firsts)) == 50
    assert all(each[1] - each[0] == pytest.approx(TURN_S) for each in turns)


def test_the_same_seed_gives_the_same_turns_and_more_conversations_keep_them() -> None:
    assert turns_s(3, 16.0, seed=1) == turns_s(5, 16.0, seed=1)[:3]
    assert turns_s(3, 16.0, seed=1) != turns_s(3, 16.0, seed=2)


def test_a_turn_behind_the_end_is_left_out() -> None:
    assert sum(len(each) for each in turns_s(100, 4.0, seed=1)) == pytest.approx(50, abs=15)
