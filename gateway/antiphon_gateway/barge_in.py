"""Follows speech over a response until it is known whether it interrupts it. Pure.

    speech    ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
              │  │  │  │      └ verdict: stop (words, or long enough) or go on
              │  │  │  └ words asked for
              │  │  └ the response is paused
              │  └ the response is ducked
              └ begins

The client is told how to play the response and nothing else. The speech becomes a turn only when it
stops the response.
"""

import enum
from collections.abc import Callable

from antiphon_gateway import echo
from antiphon_gateway.interruption import (
    InterruptionRule,
    OverlappingSpeech,
    Verdict,
    is_doubted,
    judge,
    plain_words,
)
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.response import Response
from antiphon_gateway.response_echo import ResponseEcho
from antiphon_gateway.session_context import SessionContext
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Done,
    Failed,
    ResultBody,
    Transcribe,
    Transcript,
)

_WORDS_AT_MS = 224
"""Speech before the words are asked for: less has none for the engine to find."""
_WORDS_EVERY_MS = 192
_WORDS_WITHIN_MS = 3_000
"""What lasts longer without words is asked of its end alone: a noise may last for minutes."""
_ECHO_EVERY_MS = 96
_ECHO_LIKENESS = 0.78
"""In 95 of 100 cases echo at -10 and -20 dB reaches 0.83, other speech 0.73 at most, with echo or
without."""
_ECHO_SOUND_MS = 224
"""Sound that tells an echo: of 250 people who spoke out of silence in a reply's first 0.7 s 5 % are
taken for its echo, with 400 ms that begin in silence 59 %; 98 % of the echoes are."""
_BEGINNING_LIKENESS = 0.9
"""What delays the duck until there is so much sound: fewer people, and still most echoes."""
_ECHO_RESUMED_MS = 600
"""After a response that was paused goes on as an echo: until the round trip is known its pause is
elsewhere in the microphone than in what was played, until it has left what is compared."""
_WORDS_BUDGET_MS = 1_000
_PADDING_MS = 200
"""Audio before the speech that is transcribed with it."""
_DUCK_LINGERS_MS = 320
"""A sound in two parts would else make the response loud between them: it is 160 ms without a sound
until the first is over. What follows is judged by itself, as two keystrokes are no speech."""
_EARLY_PAUSE_AFTER_MS = 64
"""Speech that pauses a response which has hardly begun: most likely the user was not done."""
_DUCKED_GAIN = 0.126
"""What clients make of a duck: 18 dB less."""
_DUCKED_MS = 1_000
"""A response that is not interrupted by then is loud again, whatever the noise."""


class Lowered(enum.IntEnum):
    """How a response is played until it is known whether it is interrupted."""

    NOT = 0
    DUCKED = 1
    PAUSED = 2


class BargeIn:
    """One stretch of speech over a response, from its first detection to the verdict."""

    def __init__(
        self,
        context: SessionContext,
        audio: Callable[[int, int], bytes],
        start_sample: int,
        response: Response | None,
        *,
        language: str | None,
        only_echo: bool = False,
        lowered_before: Lowered = Lowered.NOT,
    ) -> None:
        """Begin. `audio` gives the microphone's PCM16 between two samples.

        `response` is what is heard or about to be. With `only_echo` it was heard to its end, and
        nothing but its echo is to be kept out. One breath lowers a response once each way:
        `lowered_before` is what it has done already.
        """
        taking = context.config.turn_taking
        self.start_sample = start_sample
        """Where the speech begins that is not an echo."""
        self.heard_ms: float | None = None
        """How much of the response was heard when the speech began."""
        self.was_audible = False
        """Whether the response was being heard when the speech was noticed."""
        self._context = context
        self._audio = audio
        self._response = response
        self._replaced: Response | None = None
        """What was heard before `hold`; its echo outlasts it."""
        self._language = language
        self._only_echo = only_echo
        self._judges_words = taking.interruption_words
        self._sound_from = start_sample
        self._may_be_echo = self._like_echo = self._echo = False
        self._echo_checked_at = self._echo_until = 0
        self.lowered_most = lowered_before
        """What this breath has done to the response at most."""
        self._lowered = Lowered.NOT
        self._lowered_item_id = ""
        self._job_id = ""
        self._asked_ms = 0
        self._words: str | None = None
        self._words_log_probability = 0.0
        self._words_until_ms = 0
        if response is not None:
            response.hold_start()

    def judge(self, position: int, silence_ms: int, now_ms: float, *, sounding: bool) -> Verdict:
        """Decide from what is known when the microphone is at `position`."""
        first = self.heard_ms is None
        if first:
            self._note_beginning(position, now_ms)
        self._check_echo(position, now_ms)
        speech_ms = max(0, _to_ms(position - self.start_sample) - silence_ms)
        if self._judges_words and not self._echo and not self._only_echo:
            self._ask(position, speech_ms, silence_ms)
        evidence = self._evidence(speech_ms, silence_ms, now_ms, sounding=sounding)
        verdict = judge(evidence, self._rule())
        if self._only_echo and not self._may_be_echo:
            return Verdict.STOP
        lingers = self._lowered is Lowered.DUCKED and silence_ms < _DUCK_LINGERS_MS
        if verdict is Verdict.GO_ON and lingers and self._tells_ducks:
            self._begin_again(position)
            self._sound_from, self.heard_ms = position, None
            return Verdict.UNDECIDED
        late = speech_ms + silence_ms >= _DUCKED_MS
        if verdict is Verdict.UNDECIDED and self._audible(now_ms):
            if self._echo and self._lowered is Lowered.PAUSED:
                self._echo_until = position + _to_samples(_ECHO_RESUMED_MS)
            loud = self._echo or late or (self._may_be_echo and not self._lowered)
            self._lower(Lowered.NOT if loud else self._suited(evidence), now_ms)
        return verdict

    def _audible(self, now_ms: float) -> bool:
        """Whether the response was being heard, or goes on after a gap that the speech fell in."""
        return self.was_audible or (self._response is not None and self._response.audible(now_ms))

    def _suited(self, heard: OverlappingSpeech) -> Lowered:
        taking = self._context.config.turn_taking
        limit_ms = taking.pause_after_ms
        if self.heard_ms is not None and self.heard_ms < taking.retraction_ms:
            limit_ms = min(limit_ms, _EARLY_PAUSE_AFTER_MS)
        speech = 0 < limit_ms <= heard.speech_ms and not heard.silence_ms
        return (
            Lowered.PAUSED if speech and self._tells_ducks else max(self._lowered, Lowered.DUCKED)
        )

    def _rule(self) -> InterruptionRule:
        taking = self._context.config.turn_taking
        patience_ms = taking.barge_in_speech_ms
        if self._judges_words:
            told = self._tells_ducks and (self._lowered or self._words == "")
            patience_ms = taking.ducked_patience_ms if told else taking.interruption_patience_ms
        return InterruptionRule(taking.barge_in_speech_ms, patience_ms)

    def _evidence(
        self, speech_ms: int, silence_ms: int, now_ms: float, *, sounding: bool
    ) -> OverlappingSpeech:
        response = self._response
        return OverlappingSpeech(
            speech_ms=speech_ms,
            silence_ms=silence_ms,
            sounding=sounding,
            words=self._words,
            words_log_probability=self._words_log_probability,
            words_until_ms=self._words_until_ms,
            words_asked=bool(self._job_id),
            answers=response is not None and response.asks(now_ms),
            echo=self._echo or (self._like_echo and not self._judges_words),
        )

    def _note_beginning(self, position: int, now_ms: float) -> None:
        response, since_ms = self._response, _to_ms(position - self.start_sample)
        self.heard_ms = 0.0 if response is None else response.heard_ms(now_ms - since_ms)
        self.was_audible = response is not None and response.audible(now_ms)

    def close(self, now_ms: float, *, stopped: bool = False) -> None:
        """End: the response stops or goes on as it was before."""
        self._cancel_job()
        if not stopped:
            self._lower(Lowered.NOT, now_ms)
        if self._response is not None and not stopped:
            self._response.release_start(now_ms)

    def hold(self, response: Response) -> None:
        """A response that was made meanwhile waits for the verdict."""
        self._replaced, self._response = self._response, response
        response.hold_start()

    # --- echo ------------------------------------------------------------------------------

    def _check_echo(self, position: int, now_ms: float) -> None:
        """Compare what the microphone hears with what is played, every 96 ms.

        A beginning after silence is like any other, so that the first sound only delays the duck,
        and later the sound alone is compared, without the silence before it. A second look must
        agree that a response which is lowered already is echoed (a paused one leaves no echo to
        find), and that an echo is none any more: then the response may be lowered again.
        """
        if position < self._echo_until:
            self._begin_again(position - _to_samples(_ECHO_EVERY_MS))
            return
        played = self._played
        if played is None or not self._context.config.turn_taking.echo_check:
            self._may_be_echo = self._like_echo = self._echo = False
            return
        if _to_ms(position - self._echo_checked_at) < _ECHO_EVERY_MS:
            return
        self._echo_checked_at = position
        sound_ms = _to_ms(position - self._sound_from)
        enough = sound_ms >= _ECHO_SOUND_MS
        newest_ms = min(sound_ms, echo.COMPARED_MS) if enough else echo.COMPARED_MS
        microphone = self._audio(position - _to_samples(echo.CONTEXT_MS), position)
        least = _ECHO_LIKENESS if enough or self._only_echo else _BEGINNING_LIKENESS
        before = self._may_be_echo
        self._may_be_echo = played.likeness(microphone, now_ms, newest_ms) >= least
        self._like_echo = self._may_be_echo and enough
        if self._like_echo:
            self._echo = self._echo or before or not self._lowered
        else:
            if self._echo and not before:
                self.lowered_most = Lowered.NOT
            self._echo = self._echo and before
        if self._echo:
            self._begin_again(position - _to_samples(_ECHO_EVERY_MS))

    @property
    def _played(self) -> ResponseEcho | None:
        """What may be echoed: a response that has not begun to speak is not."""
        for response in (self._response, self._replaced):
            if response is not None and response.echo is not None:
                return response.echo
        return None

    def _begin_again(self, position: int) -> None:
        """All that was heard before is the response itself, or over."""
        self._cancel_job()
        self.start_sample = max(self.start_sample, position)
        self._asked_ms = self._words_until_ms = 0
        self._words = None

    # --- words -----------------------------------------------------------------------------

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is the one asked for last."""
        return job_id == self._job_id and bool(job_id)

    def open_jobs(self) -> tuple[str, ...]:
        """Return the id of the job that has not ended, if any."""
        return (self._job_id,) if self._job_id else ()

    def on_result(self, body: ResultBody, now_ms: float) -> None:
        """Take one result of the job. A failure leaves the decision to the length."""
        if isinstance(body, Transcript):
            self._take_words(body, now_ms)
        elif isinstance(body, Done | Failed):
            self._job_id = ""

    def _take_words(self, heard: Transcript, now_ms: float) -> None:
        played = self._played
        spoken = played.spoken_lately(now_ms) if played is not None else ""
        self._words_until_ms = self._asked_ms
        echoed = self._context.config.turn_taking.echo_check and echo.echoed_words(
            plain_words(heard.text), plain_words(spoken)
        )
        self._words = "" if echoed or is_doubted(heard) else heard.text
        self._words_log_probability = heard.average_log_probability

    def _cancel_job(self) -> None:
        if self._job_id:
            self._context.cancel(self._job_id)
        self._job_id = ""

    def _ask(self, position: int, speech_ms: int, silence_ms: int) -> None:
        """Ask for the words so far, when there is enough that is new.

        The recogniser looks once, as for a partial. Where it goes astray, as on a laugh or on many
        voices, a second look takes a second or two, and the length alone would then decide.
        """
        enough_ms = self._context.config.turn_taking.barge_in_speech_ms
        ended = silence_ms > 0 and speech_ms >= enough_ms
        new_ms = speech_ms - self._asked_ms
        due = new_ms >= (_WORDS_EVERY_MS if self._asked_ms else _WORDS_AT_MS)
        if self._job_id or not (due or (ended and new_ms > 0)):
            return
        self._asked_ms = speech_ms
        start = self.start_sample - _to_samples(_PADDING_MS)
        start = max(start, position - _to_samples(_WORDS_WITHIN_MS))
        self._job_id = self._context.submit(
            Transcribe(final=False, language=self._language),
            payload=self._audio(start, position),
            budget_ms=_WORDS_BUDGET_MS,
            urgent=True,
        )

    # --- duck ------------------------------------------------------------------------------

    @property
    def _tells_ducks(self) -> bool:
        return self._context.extensions and self._context.config.turn_taking.duck

    def _lower(self, to: Lowered, now_ms: float) -> None:
        if self._response is None or to is self._lowered:
            return
        if self._lowered < to <= self.lowered_most:
            return
        self._lowered_item_id = self._lowered_item_id or self._response.item_id
        item_id, ducked, paused = self._lowered_item_id, bool(to), to is Lowered.PAUSED
        self._lowered, self.lowered_most = to, max(to, self.lowered_most)
        if not ducked:
            self._lowered_item_id = ""
        ducked_gain = _DUCKED_GAIN if ducked and self._tells_ducks else 1.0
        self._response.lower(now_ms, gain=0.0 if paused else ducked_gain)
        if self._tells_ducks:
            self._context.send(events.Duck(item_id=item_id, ducked=ducked, paused=paused))


def _to_ms(samples: int) -> int:
    return samples * 1000 // STT_SAMPLE_RATE_HZ


def _to_samples(duration_ms: int) -> int:
    return duration_ms * STT_SAMPLE_RATE_HZ // 1000
