"""One change of a running server at a time."""

from pathlib import Path

import pytest

from antiphon.change_lock import alone
from antiphon_proto.errors import StartupError


def test_a_second_change_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(StartupError, match="wait until it ends"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_a_change_that_failed_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), alone(tmp_path):
        raise RuntimeError
    with alone(tmp_path):
        pass
