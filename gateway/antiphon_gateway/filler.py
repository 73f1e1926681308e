"""Speaks a set phrase, once, while the output of the client's functions does not come. Pure."""

from antiphon_gateway.history import History
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.response import Response
from antiphon_gateway.response_events import speaks
from antiphon_gateway.responses import Responses
from antiphon_gateway.session_context import SessionContext


class Filler:
    """Watches the calls of the newest response; speaks when they take long."""

    def __init__(
        self,
        context: SessionContext,
        settings: LiveSettings,
        history: History,
        listener: Listener,
        responses: Responses,
    ) -> None:
        self._context = context
        self._wanted = context.config.tools
        self._settings = settings
        self._history = history
        self._listener = listener
        self._responses = responses
        self._done: Response | None = None
        """Whose calls were filled for, or are not to be."""

    def notice(self) -> None:
        """The user said something: the silence is no longer ours to fill."""
        self._done = self._responses.current

    def on_output(self, now_ms: float) -> None:
        """An output has come: when it was the last, the filler has done its service."""
        calls = self._done.calls if self._done is not None else ()
        if not self._history.awaits_output(calls):
            self._responses.end_filler(now_ms)

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when the functions have taken too long, if that is to be filled at all."""
        response = self._responses.current
        if (
            not self._wanted.filler
            or response is None
            or response is self._done
            or response.called_ms is None
            or not response.ended
            or not response.in_conversation
            or self._responses.pending
            or self._listener.user_speaking
            or self._listener.transcribing
            or self._context.away
            or not speaks(self._settings.response())
            or not self._history.awaits_output(response.calls)
        ):
            return None
        quiet_since_ms = max(response.called_ms, response.playback_end_ms or 0.0)
        return max(now_ms, quiet_since_ms + self._wanted.filler_after_ms)

    def advance(self, now_ms: float) -> None:
        """Speak, when it is time."""
        due_ms = self.next_due_ms(now_ms)
        if due_ms is not None and due_ms <= now_ms:
            self._done = self._responses.current
            self._responses.fill(self._wanted.filler, now_ms)
