"""The final transcriptions of a session's utterances, void when more is said. Pure."""

from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import Failed, ResultBody, Transcribe, Transcript

_BUDGET_MS = 30_000


class FinalTranscripts:
    """The jobs of the open utterance and of those that are committed."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._turns: dict[str, UserTurn] = {}

    @property
    def committed(self) -> bool:
        """Whether a committed turn waits for its transcript."""
        return any(turn.committed for turn in self._turns.values())

    @property
    def waiting(self) -> tuple[UserTurn, ...]:
        """The turns whose transcription has not ended."""
        return tuple(self._turns.values())

    def open_jobs(self) -> tuple[str, ...]:
        """Return the ids of the jobs that have not ended."""
        return tuple(self._turns)

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is one of these."""
        return job_id in self._turns

    def waits(self, turn: UserTurn) -> bool:
        """Tell whether a turn's transcription has not ended."""
        return turn.job_id in self._turns

    def ask(self, turn: UserTurn, pcm: bytes, language: str | None) -> None:
        """Ask for the transcript of a turn."""
        turn.job_id = self._context.submit(
            Transcribe(final=True, language=language, prompt=self._context.transcription_prompt),
            payload=pcm,
            budget_ms=_BUDGET_MS,
            urgent=True,
        )
        self._turns[turn.job_id] = turn

    def void(self, turn: UserTurn) -> None:
        """Forget what is known of a turn's words: they are not all of them."""
        if self._turns.pop(turn.job_id, None) is not None:
            self._context.cancel(turn.job_id)
        turn.job_id = ""
        turn.transcript = None

    def on_result(self, job_id: str, body: ResultBody) -> UserTurn | None:
        """Take one result; returns the turn when its transcription has ended.

        If the job failed, its `transcript` is None then and its `job_id` empty; of a committed
        turn that is an item the client is told.
        """
        turn = self._turns[job_id]
        if isinstance(body, Transcript):
            turn.transcript = f"{turn.words_before} {body.text.strip()}".strip()
            return None
        del self._turns[job_id]
        if isinstance(body, Failed):
            turn.job_id = ""
            turn.transcript = None
            if turn.committed and not turn.of_input:
                error = events.TranscriptionError(code=body.code, message=body.message)
                self._context.send(
                    events.TranscriptionFailed(
                        item_id=turn.item_id, content_index=turn.content_index, error=error
                    )
                )
        else:
            turn.transcript = turn.transcript or turn.words_before
        return turn
