"""A pause of the open utterance: asks how it sounds, gathers evidence, weighs it. Pure."""

from collections import deque
from collections.abc import Callable

from antiphon_gateway.prompt_warming import MessageEnd
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.turn_end import SURE_MS, Eagerness, Evidence, Sounding, Verdict, weigh
from antiphon_gateway.turn_text import hangs, same_words
from antiphon_proto.messages import Done, Failed, PredictTurnEnd, ResultBody, TurnEnd

HEARD_MS = 8_000
"""How much of the utterance the model of turn ends hears."""
HEARD_SILENCE_MS = 64
"""How much of the silence it hears. In a longer one it says "finished" of everything."""
ASK_BY_MS = 256
"""Silence after which it is asked even when the language model has not spoken."""
_BUDGET_MS = 1_000
_PAUSES_KEPT = 12
_PAUSE_MS = 200
"""A shorter gap is part of speech, as before a `p` or a `t`, and tells nothing of the speaker."""


class TurnEndWatch:
    """What is known of one session's pause, and how much silence would end the turn."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self._pauses_ms: deque[int] = deque(maxlen=_PAUSES_KEPT)
        self._job_id = ""
        self._asked = False
        self._soundings: list[Sounding] = []
        self._transcript: str | None = None
        self._language = ""
        self._confidence = 0.0
        self._message_end: MessageEnd | None = None

    def begin(self) -> None:
        """The user has paused, or a new utterance began: nothing is known yet."""
        self.end()
        self._asked = False
        self._soundings = []
        self._transcript = None
        self._confidence = 0.0
        self._message_end = None

    def end(self) -> None:
        """Nobody wants to know any more."""
        if self._job_id:
            self._context.cancel(self._job_id)
        self._job_id = ""

    def resumed(self, pause_ms: int) -> None:
        """The user went on after so much silence: evidence of this pause is void."""
        if pause_ms >= _PAUSE_MS:
            self._pauses_ms.append(pause_ms)
        self.begin()

    def open_jobs(self) -> tuple[str, ...]:
        """Return the id of the job that has not ended, if any."""
        return (self._job_id,) if self._job_id else ()

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is the one asked for last."""
        return job_id == self._job_id and bool(job_id)

    def ask_if_due(self, silence_ms: int, needed_ms: int, sound: Callable[[], bytes]) -> None:
        """Ask for the sound of the pause, once, when the words leave doubt whether it is the end.

        Where they do not, the processor has better things to do.

        `needed_ms`: silence that would end the turn by what is known. `sound` returns the newest
        `HEARD_MS` of the utterance with `HEARD_SILENCE_MS` of the silence, PCM16 at 16 kHz.
        """
        wanted = self._context.config.turn_taking.predict_turn_end
        if self._asked or silence_ms < HEARD_SILENCE_MS or not wanted:
            return
        doubtful = needed_ms > SURE_MS
        if not doubtful if self._message_end else silence_ms < ASK_BY_MS:
            return
        self._asked = True
        self._job_id = self._context.submit(
            PredictTurnEnd(), payload=sound(), budget_ms=_BUDGET_MS, urgent=True
        )

    def on_result(self, body: ResultBody) -> None:
        """Take one result of the job. A failure, or no answer, leaves the rest of the evidence."""
        if isinstance(body, Done | Failed):
            self._job_id = ""
        elif isinstance(body, TurnEnd):
            self._soundings.append(Sounding(HEARD_SILENCE_MS, body.probability))

    def take_manner(self, language: str, confidence: float) -> None:
        """Take the language of the transcript and how sure the transcriber is of its words."""
        self._language = language or self._language
        self._confidence = confidence

    def take_transcript(self, text: str) -> None:
        """Take the words of the utterance so far; what was scored of others is void."""
        if self._transcript is not None and not same_words(text, self._transcript):
            self._message_end = None
        self._transcript = text

    def take_message_end(self, end: MessageEnd) -> None:
        """Take the language model's word on whether a message ends after a text.

        It counts when that has the words of this pause's transcript.
        """
        if self._transcript is not None and same_words(end.text, self._transcript):
            self._message_end = end

    @property
    def hangs(self) -> bool:
        """Whether the last word so far calls for another one; known of English alone."""
        return self._language in ("", "en") and hangs(self._transcript or "")

    def verdict(self, eagerness: Eagerness) -> Verdict:
        """Return the silence that ends the turn, by what is known now."""
        turn_taking = self._context.config.turn_taking
        evidence = Evidence(
            soundings=tuple(self._soundings),
            transcript=self._transcript,
            confidence=self._confidence,
            message_end=self._message_end and self._message_end.probability,
            phrase_end=self._message_end and self._message_end.phrase_end,
            pauses_ms=tuple(self._pauses_ms) if turn_taking.own_pauses else (),
            language=self._language,
        )
        return weigh(evidence, eagerness, turn_taking.least_silence_ms)
