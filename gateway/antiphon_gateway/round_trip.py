"""How long audio takes to the client and the word of it back: learnt from reports, over a session.

A report says what had arrived when it left. What had not arrived was then younger than a round trip
when the report came, and what had arrived was older: two bounds, without a clock at the client.
"""

_MOST_MS = 500.0
"""What a client may make the gateway believe."""
_NEW_WEIGHT = 0.25


class RoundTrip:
    """The estimate of one session. It rises at once, to what was seen, and falls slowly."""

    def __init__(self) -> None:
        self.ms = 0.0
        self.known = False
        """Whether the client reports what it plays."""

    def note(self, received_age_ms: float | None, missing_age_ms: float | None) -> None:
        """Take when the newest audio that had arrived, and the oldest that had not, was sent.

        As ages in ms; None where there is no such audio.
        """
        self.known = True
        if missing_age_ms is not None:
            self.ms = max(self.ms, min(missing_age_ms, _MOST_MS))
        if received_age_ms is not None and received_age_ms < self.ms:
            self.ms += _NEW_WEIGHT * (received_age_ms - self.ms)
