"""Speaks up when the user has said nothing for a while after a response. Pure."""

from antiphon_gateway.history import History
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.session_settings import ServerVad
from antiphon_gateway.response import Response
from antiphon_gateway.responses import Responses
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ


class IdleTurn:
    """Makes an empty turn `idle_timeout_ms` after the end of the playback of a response, once."""

    def __init__(
        self,
        context: SessionContext,
        settings: LiveSettings,
        history: History,
        listener: Listener,
        responses: Responses,
    ) -> None:
        self._context = context
        self._settings = settings
        self._history = history
        self._listener = listener
        self._responses = responses
        self._noticed_ms = 0.0
        self._done: Response | None = None

    def notice(self, now_ms: float) -> None:
        """The user said something."""
        self._noticed_ms = now_ms

    def next_due_ms(self, now_ms: float) -> float | None:
        """Return when the silence has lasted too long, if it counts at all."""
        detection, response = self._settings.turn_detection, self._responses.current
        if (
            not isinstance(detection, ServerVad)
            or detection.idle_timeout_ms is None
            or response is None
            or response is self._done
            or response.is_filler
            or response.playback_end_ms is None
            or self._responses.pending
            or self._listener.user_speaking
            or self._listener.transcribing
        ):
            return None
        quiet_since_ms = max(response.playback_end_ms, self._noticed_ms)
        return max(now_ms, quiet_since_ms + detection.idle_timeout_ms)

    def advance(self, now_ms: float) -> None:
        """Make the turn and answer it, when it is time."""
        due_ms, detection = self.next_due_ms(now_ms), self._settings.turn_detection
        if due_ms is None or due_ms > now_ms or not isinstance(detection, ServerVad):
            return
        self._done = self._responses.current
        position = self._listener.audio.position_samples
        end_ms = position * 1000 // STT_SAMPLE_RATE_HZ
        turn = UserTurn(self._context.new_id("item"), position)
        self._context.send(
            events.IdleTimeoutTriggered(
                audio_start_ms=max(0, end_ms - (detection.idle_timeout_ms or 0)),
                audio_end_ms=end_ms,
                item_id=turn.item_id,
            )
        )
        self._history.add_turn(turn)
        self._responses.speak_up(now_ms)
