"""Pure: how long a program that ended waits for its next start."""

HEALTHY_S = 2.0
"""A program that ran for so long had started well."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class Respawn:
    """The starts of one program: at once after a good run, ever slower while it fails, for ever."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, lived_s: float) -> float:
        """Return the wait before the next start of a program that lived for so long."""
        if lived_s >= HEALTHY_S:
            self._failures = 0
            return 0.0
        self._failures += 1
        pause_s = FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16)
        return min(LONGEST_PAUSE_S, pause_s)
