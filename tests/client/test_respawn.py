"""How long an ended program waits for its next start."""

from antiphon.respawn import Respawn


def test_a_program_that_ran_well_is_started_at_once() -> None:
    respawn = Respawn()
    assert [respawn.pause_s(60.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_failing_program_is_started_ever_more_slowly_and_for_ever() -> None:
    respawn = Respawn()
    pauses = [respawn.pause_s(0.01) for _ in range(1_000)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == max(pauses) == 10.0


def test_a_good_run_forgives_the_failures_before_it() -> None:
    respawn = Respawn()
    for _ in range(8):
        respawn.pause_s(0.01)
    assert respawn.pause_s(60.0) == 0.0
    assert respawn.pause_s(0.01) == 0.1
