"""A session's interruptions, one at a time: speech over a response, and answers given too early."""

from antiphon_gateway.barge_in import BargeIn, Lowered
from antiphon_gateway.effects import NoteRetraction
from antiphon_gateway.interruption import Verdict
from antiphon_gateway.listening import Listener
from antiphon_gateway.response import Response
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, ResultBody

_RETRACTION_GAP_MS = 1_500
"""Silence after a turn beyond which more speech is another turn, though no answer was heard."""
_BREATH_MS = 600
"""Sounds with less silence between them are one, which lowers the response once each way."""


class Interruptions:
    """What may become an interruption, and the turn that it may go on with."""

    def __init__(self, context: SessionContext, listener: Listener) -> None:
        self.newest_turn: UserTurn | None = None
        """The last turn, while its answer is the session's own and may be taken back."""
        self._context = context
        self._listener = listener
        self._barge_in: BargeIn | None = None
        self._lowered_most = Lowered.NOT
        self._lowered_until_sample = -STT_SAMPLE_RATE_HZ
        """Where the sound ended that the response was lowered for last."""

    @property
    def held_from(self) -> int:
        """Where the held speech begins to count."""
        assert self._barge_in is not None
        return self._barge_in.start_sample

    @property
    def heard_ms(self) -> float:
        """How much of the response was heard when the held speech began."""
        return (self._barge_in and self._barge_in.heard_ms) or 0.0

    def begin(
        self, start_sample: int, response: Response | None, now_ms: float, *, disturbs: bool
    ) -> bool:
        """Hold speech that disturbs a response, or may be its echo; tell whether it is held."""
        played = response.echo if response is not None else None
        if not disturbs and (played is None or not played.possible(now_ms)):
            return False
        silence_ms = _to_ms(start_sample - self._lowered_until_sample)
        self._barge_in = BargeIn(
            self._context,
            self._listener.audio.slice,
            start_sample,
            response,
            language=self._listener.spoken_language,
            only_echo=not disturbs,
            lowered_before=self._lowered_most if silence_ms <= _BREATH_MS else Lowered.NOT,
        )
        return True

    def judge(self, position: int, silence_ms: int, now_ms: float, *, sounding: bool) -> Verdict:
        """Whether the held speech stops the response."""
        assert self._barge_in is not None
        verdict = self._barge_in.judge(position, silence_ms, now_ms, sounding=sounding)
        if self._barge_in.lowered_most:
            self._lowered_most = self._barge_in.lowered_most
            self._lowered_until_sample = position - silence_ms * STT_SAMPLE_RATE_HZ // 1000
        return verdict

    def end(self, now_ms: float, *, stopped: bool) -> None:
        """The held speech was judged, or is forgotten."""
        if self._barge_in is not None:
            barge_in, self._barge_in = self._barge_in, None
            barge_in.close(now_ms, stopped=stopped)

    def hold(self, response: Response) -> None:
        """Let a new response wait while speech is held."""
        if self._barge_in is not None:
            self._barge_in.hold(response)

    def note_retraction(self, turn: UserTurn) -> None:
        """The turn is open again: its answer is taken back."""
        self.newest_turn = None
        heard_ms = round(self.heard_ms)
        self._context.emit(NoteRetraction(self._context.turn_id, heard_ms, turn.retractions + 1))

    def turn_to_reopen(self, start_sample: int, *, answered: bool) -> UserTurn | None:
        """Return the turn that the held speech goes on with, when its answer has hardly begun.

        `answered`: whether the newest turn has an answer; else what was heard is an earlier one.
        """
        turn, barge_in = self.newest_turn, self._barge_in
        taking = self._context.config.turn_taking
        if (
            turn is None
            or barge_in is None
            or turn.start_sample < self._listener.audio.start_samples
        ):
            return None
        heard_ms = self.heard_ms if answered else 0.0
        if not taking.retraction_ms or heard_ms > taking.retraction_ms:
            return None
        if _to_ms(start_sample - turn.start_sample) >= taking.max_utterance_ms:
            return None
        if heard_ms:
            return turn if barge_in.was_audible else None
        gap_ms = _to_ms(start_sample - turn.end_sample)
        return turn if gap_ms <= _RETRACTION_GAP_MS else None

    # --- jobs ------------------------------------------------------------------------------

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of the held speech."""
        return self._barge_in is not None and self._barge_in.owns(job_id)

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        return self._barge_in.open_jobs() if self._barge_in is not None else ()

    def on_result(self, body: ResultBody, now_ms: float) -> None:
        """Take one result of a job."""
        assert self._barge_in is not None
        self._barge_in.on_result(body, now_ms)


def _to_ms(samples: int) -> int:
    return samples * 1000 // STT_SAMPLE_RATE_HZ
