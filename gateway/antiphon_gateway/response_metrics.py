"""Where the time of one response went, as its client and the operator are told. Pure."""

from antiphon_gateway.effects import NoteTurn
from antiphon_gateway.realtime import server_events
from antiphon_gateway.realtime.client_events import TurnPlayed
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.turn_timings import MouthToEar, Played, TurnTimings


class ResponseMetrics:
    """The timings of the turn that a response answers, if it answers one."""

    def __init__(
        self, context: SessionContext, timings: TurnTimings | None, response_id: str
    ) -> None:
        self._context = context
        self._timings = timings
        self._response_id = response_id
        self._sent = False

    def mark(self, step: str, now_ms: float) -> None:
        """Note that a step of `turn_steps.STEPS` has happened."""
        if self._timings is not None:
            self._timings.mark(step, now_ms)

    def audio_sent(self) -> None:
        """The first audio was sent: tell, once, where the time went."""
        if self._sent or self._timings is None:
            return
        self._sent = True
        steps_ms = self._timings.offsets_ms()
        self._context.emit(NoteTurn(self._timings.turn_id, self._response_id, steps_ms))
        if self._context.extensions:
            self._send(self._timings, None)

    def report_played(self, event: TurnPlayed) -> None:
        """Take the client's word for when the first audio was played, once: the wait is known."""
        if not self._sent or self._timings is None or not self._context.extensions:
            return
        played = Played(event.received_us / 1000, event.started_us / 1000, event.heard_us / 1000)
        wait = self._timings.mouth_to_ear(played, self._context.capture)
        if wait is not None:
            self._send(self._timings, wait)
        self._timings = None

    def _send(self, timings: TurnTimings, wait: MouthToEar | None) -> None:
        steps_ms = timings.offsets_ms()
        self._context.send(
            server_events.TurnMetrics(
                turn_id=timings.turn_id,
                response_id=self._response_id,
                voice_to_voice_ms=steps_ms["audio_sent"],
                steps_ms=steps_ms,
                complete=wait is not None,
                mouth_to_ear_ms=wait.total_ms if wait else None,
                parts_ms=wait.parts_ms if wait else timings.parts_ms(),
            )
        )
