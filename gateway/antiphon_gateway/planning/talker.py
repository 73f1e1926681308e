"""One simulated person: thinks, speaks, waits for the answer, hears it, again and again."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from antiphon_gateway.clauses import ClauseSplitter
from antiphon_gateway.planning.clock import Clock
from antiphon_gateway.runway import CHARACTER_MS
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    Done,
    Failed,
    Generate,
    ResultBody,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)
from antiphon_proto.planning import Conversation, Span

_MAX_CLAUSES = 2
_AHEAD_MS = 4_000.0
_NOTICED_MS = 20.0
_AUDIO_HZ = 24_000
_PARTIAL_BUDGET_MS = 2_000
_BUDGET_MS = 30_000
_REST = 2
"""Times as long as the last partial took pass before the next."""
_GENERATE = Generate(messages=(ChatMessage("user", ""),), max_output_tokens=200, temperature=0.0)

Work = Sequence[tuple[float, ResultBody | None]]
"""Of a job: after so many steps, this result. Steps are seconds of speech, or words."""


@dataclass(slots=True)
class Turn:
    """One answer."""

    wait_ms: float
    """From the end of speech until it could be heard; infinite: it never could."""
    gap: bool = False
    """Whether it was interrupted by silence, as far as it is known."""


class Gateway(Protocol):
    """What a talker wants of the server: what a session wants of its gateway."""

    @property
    def clock(self) -> Clock:
        """The time."""

    def ask(
        self,
        session_id: str,
        command: Command,
        work: Work,
        *,
        budget_ms: int,
        urgent: bool,
        listener: Callable[[ResultBody], None],
    ) -> str:
        """Begin a job. Returns its id."""

    def cancel(self, job_id: str) -> None:
        """End a job."""

    def has_room(self, most_wait_ms: float) -> bool:
        """Tell whether no stage lets jobs wait for longer."""

    def hop(self, event: Callable[[], None]) -> None:
        """Have an event once the gateway has passed something on."""

    def answered(self, turn: Turn) -> None:
        """Count a turn, which may yet be found to have a gap."""


def clauses(reply: str, phrase_words: int) -> tuple[str, ...]:
    """Return a reply as the gateway cuts it for speaking, word by word as a model writes it."""
    splitter = ClauseSplitter(phrase_words=phrase_words)
    words = reply.split(" ")
    cut = [clause for word in words for clause in splitter.feed(f"{word} ")]
    return tuple(clause for clause in (*cut, *splitter.finish()) if clause.strip())


def cycle_ms(conversation: Conversation) -> float:
    """Return the mean time from one utterance to the next where an answer takes no time."""
    speech_s, think_s = sum(conversation.speech_s) / 2, sum(conversation.think_s) / 2
    replies = conversation.replies
    reply_ms = CHARACTER_MS * sum(map(len, replies)) / len(replies)
    heard_ms = max(0.0, reply_ms - 1000 * conversation.audio_lead_s)
    return 1000 * (speech_s + think_s) + conversation.release_ms + heard_ms


class Talker:
    """One conversation. All that is drawn follows from its own generator."""

    def __init__(
        self,
        session_id: str,
        conversation: Conversation,
        replies: Sequence[tuple[str, ...]],
        gateway: Gateway,
        chance: random.Random,
    ) -> None:
        self._session_id = session_id
        self._conversation = conversation
        self._replies = replies
        self._gateway = gateway
        self._clock = gateway.clock
        self._chance = chance
        self._speech_s = 0.0
        self._partial = ""
        self._partial_asked_ms = 0.0
        self._answer = ""
        self._begin_turn()
        self._clock.after(chance.uniform(0.0, cycle_ms(conversation)), self._speak)

    @property
    def waits_ms(self) -> float:
        """How long the talker has waited for an answer that is not heard yet."""
        since_ms = self._silent_since_ms
        waits = since_ms is not None and self._heard_until_ms is None
        return self._clock.now_ms - since_ms if waits and since_ms is not None else 0.0

    # --- speaking --------------------------------------------------------------------------

    def _draw_s(self, span: Span) -> float:
        return self._chance.uniform(*span)

    def _begin_turn(self) -> None:
        self._clauses: deque[str] = deque()
        self._open: deque[str] = deque()
        self._text_ended = False
        self._generating = False
        self._heard_until_ms: float | None = None
        self._released_ms = 0.0
        self._silent_since_ms: float | None = None
        self._turn = Turn(float("inf"))

    def _speak(self) -> None:
        self._begin_turn()
        self._speech_s = self._draw_s(self._conversation.speech_s)
        self._reply = self._chance.choice(self._replies)
        ends_ms = self._clock.now_ms + 1000 * self._speech_s
        if interval_ms := self._conversation.partial_interval_ms:
            self._clock.after(interval_ms, lambda: self._ask_partial(ends_ms))
        self._clock.after(1000 * self._speech_s, self._fall_silent)

    def _ask_partial(self, ends_ms: float) -> None:
        now_ms = self._clock.now_ms
        if now_ms < ends_ms and not self._partial:
            heard_s = self._speech_s - (ends_ms - now_ms) / 1000
            self._partial_asked_ms = now_ms
            self._partial = self._gateway.ask(
                self._session_id,
                Transcribe(final=False),
                [(heard_s, Transcript(text=""))],
                budget_ms=_PARTIAL_BUDGET_MS,
                urgent=False,
                listener=lambda body: self._on_partial(body, ends_ms),
            )

    def _on_partial(self, body: ResultBody, ends_ms: float) -> None:
        if isinstance(body, Done | Failed):
            self._partial = ""
            now_ms, asked_ms = self._clock.now_ms, self._partial_asked_ms
            rest_ms = max(self._conversation.partial_interval_ms, (1 + _REST) * (now_ms - asked_ms))
            next_ms = max(0.0, asked_ms + rest_ms - now_ms)
            self._clock.after(next_ms, lambda: self._ask_partial(ends_ms))

    def _fall_silent(self) -> None:
        self._silent_since_ms = self._clock.now_ms
        self._released_ms = self._clock.now_ms + self._conversation.release_ms
        self._clock.after(self._conversation.pause_ms, lambda: self._gateway.hop(self._ask_final))

    # --- waiting ---------------------------------------------------------------------------

    def _ask_final(self) -> None:
        if self._partial:
            self._gateway.cancel(self._partial)
            self._partial = ""
        self._gateway.ask(
            self._session_id,
            Transcribe(final=True),
            [(self._speech_s, Transcript(text=""))],
            budget_ms=_BUDGET_MS,
            urgent=True,
            listener=self._on_final,
        )

    def _on_final(self, body: ResultBody) -> None:
        if isinstance(body, Failed):
            self._give_up()
        elif isinstance(body, Transcript):
            left_ms = self._released_ms - self._clock.now_ms
            early = self._conversation.speculation and self._gateway.has_room(
                self._conversation.speculation_wait_ms
            )
            if left_ms <= 0 or early:
                self._ask_answer()
            else:
                self._clock.after(left_ms, self._ask_answer)

    def _ask_answer(self) -> None:
        self._generating = True
        # The first word is there with the first result.
        words = [len(text.split()) for text in self._reply]
        words[0] -= 1
        texts = [TextDelta(text=text) for text in self._reply]
        self._answer = self._gateway.ask(
            self._session_id,
            _GENERATE,
            list(zip(words, texts, strict=True)),
            budget_ms=_BUDGET_MS,
            urgent=True,
            listener=self._on_text,
        )

    def _on_text(self, body: ResultBody) -> None:
        if isinstance(body, TextDelta):
            self._clauses.append(body.text)
        elif isinstance(body, Failed):
            self._give_up()
        elif isinstance(body, Done):
            self._text_ended = True
        self._advance()

    # --- listening -------------------------------------------------------------------------

    def _advance(self) -> None:
        """Ask for the next clause when there is room for it; end the turn behind the last one."""
        now_ms, heard_until_ms = self._clock.now_ms, self._heard_until_ms
        if self._clauses and len(self._open) < _MAX_CLAUSES:
            ahead_ms = 0.0 if heard_until_ms is None else heard_until_ms - now_ms
            if ahead_ms > _AHEAD_MS:
                self._clock.after(ahead_ms - _AHEAD_MS, self._advance)
            else:
                self._ask_clause(self._clauses.popleft())
                self._advance()
        elif self._text_ended and self._generating and not self._clauses and not self._open:
            self._generating = False
            lead_ms = 1000 * self._conversation.audio_lead_s
            end_ms = max(0.0, (heard_until_ms or now_ms) - now_ms - lead_ms)
            thinks_ms = 1000 * self._draw_s(self._conversation.think_s)
            self._clock.after(end_ms + thinks_ms, self._speak)

    def _ask_clause(self, text: str) -> None:
        first = self._heard_until_ms is None and not self._open
        audio_ms = len(text) * CHARACTER_MS
        job_id = self._gateway.ask(
            self._session_id,
            Synthesize(text=text, voice=""),
            [(0.0, AudioDelta(sample_rate_hz=_AUDIO_HZ)), (audio_ms / 1000, None)],
            budget_ms=_BUDGET_MS,
            urgent=first,
            listener=lambda body: self._on_audio(body, job_id, audio_ms),
        )
        self._open.append(job_id)

    def _on_audio(self, body: ResultBody, job_id: str, audio_ms: float) -> None:
        if isinstance(body, AudioDelta):
            now_ms = self._clock.now_ms
            if self._heard_until_ms is None:
                assert self._silent_since_ms is not None
                self._heard_until_ms = max(now_ms, self._released_ms)
                self._turn.wait_ms = self._heard_until_ms - self._silent_since_ms
                self._gateway.answered(self._turn)
            elif now_ms > self._heard_until_ms + _NOTICED_MS:
                self._turn.gap = True
            self._heard_until_ms = max(now_ms, self._heard_until_ms) + audio_ms
        elif isinstance(body, Failed):
            self._give_up()
        elif isinstance(body, Done):
            self._open.remove(job_id)
            assert self._heard_until_ms is not None
            self._heard_until_ms = max(self._heard_until_ms, self._clock.now_ms)
        self._advance()

    def _give_up(self) -> None:
        """The answer failed; the person tries again."""
        if self._heard_until_ms is None:
            self._gateway.answered(self._turn)
        for job_id in (self._answer, *self._open):
            self._gateway.cancel(job_id)
        self._begin_turn()
        self._clock.after(1000 * self._draw_s(self._conversation.think_s), self._speak)
