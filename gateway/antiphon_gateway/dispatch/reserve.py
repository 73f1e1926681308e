"""Pure: whether the last free slot of a stage is kept for the next one who waits.

Work that nobody waits for yet, such as the second clause of an answer, would take every slot; then
the first clause of another session's answer waits for the whole of such a job.
"""

from collections import OrderedDict

MOST_HELD_BACK_MS = 10_000
"""So long a job is held back at most, however patient it is."""
OF_LATE_MS = 10_000
"""How long a session with urgent jobs is expected to have more of them."""

_NEWEST = 2
"""Of the sessions remembered; whichever is asked about, one of two is another."""


class Reserve:
    """Who had urgent jobs of a stage of late."""

    def __init__(self) -> None:
        self._last_ms: OrderedDict[str, int] = OrderedDict()

    def note_urgent(self, session_id: str, now_ms: int) -> None:
        """A session wants something that a person waits for."""
        self._last_ms[session_id] = now_ms
        self._last_ms.move_to_end(session_id)
        while len(self._last_ms) > _NEWEST:
            self._last_ms.popitem(last=False)

    def holds_back(self, session_id: str, left_ms: int, now_ms: int) -> bool:
        """Whether a session's job that is not urgent leaves the last free slot alone.

        `left_ms`: what is left of its patience.
        """
        if left_ms <= 0:
            return False
        # A loop, because it is asked of every session that waits, whenever a slot is free.
        for other, last_ms in self._last_ms.items():
            if other != session_id and now_ms - last_ms <= OF_LATE_MS:
                return True
        return False
