"""Whether memory that is free goes back to the system."""

import pytest

from antiphon_gateway import idle_memory


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


@pytest.mark.skipif(idle_memory.TRIM is None, reason="this C library cannot trim")
def test_what_is_free_below_something_in_use_goes_back() -> None:
    blocks = [bytes(100_000) for _ in range(600)]
    in_use_above = bytes(100_000)
    full_mib = resident_mib()
    del blocks
    idle_memory.release()
    assert resident_mib() < full_mib - 30
    assert len(in_use_above) == 100_000
