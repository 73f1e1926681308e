"""Has the language model read the conversation while the user still speaks. Pure.

What was read ahead need not be read when the answer is wanted. The model also tells how probable it
is that the message ends where it was read to.
"""

from typing import NamedTuple

from antiphon_gateway import generation
from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.turn_text import same_words
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Done,
    Failed,
    ResultBody,
    TurnEnd,
)

_BUDGET_MS = 5_000


class MessageEnd(NamedTuple):
    """How probable it is that the user's message ends after these words."""

    text: str
    probability: float
    phrase_end: float | None = None
    """That a comma or a joining word comes next."""


class PromptWarming:
    """What one session has had read of its conversation. At most one job at a time."""

    def __init__(self, context: SessionContext, settings: LiveSettings) -> None:
        self._context = context
        self._settings = settings
        self._job_id = ""
        self._reads: tuple[ChatMessage, ...] = ()
        """What the last job was to read."""
        self._next: tuple[ChatMessage, ...] = ()
        self._settled = ""
        self._known: MessageEnd | None = None
        self._news: MessageEnd | None = None

    def begin(self) -> None:
        """The user begins to speak, or goes on."""
        self._settled = ""
        self._news = None
        self._stop()

    def read(self, messages: tuple[ChatMessage, ...]) -> None:
        """Read a conversation whose last message may go on, when the stage has room to spare.

        While another one is being read the newest waits, and replaces one that waited. Nothing is
        read once the words are settled.
        """
        self._next = ()
        if self._settled or not self._wanted(messages):
            return
        if self._job_id:
            self._next = messages
        elif has_room_to_spare(self._context.load("llm")):
            self._submit(messages, urgent=False)

    def settle(self, messages: tuple[ChatMessage, ...]) -> None:
        """Take all words of a pause. If nothing is known of their end the model is asked at once.

        Its answer comes before the response that is about to be asked for: they share the reading.
        """
        self._settled = messages[-1].content
        self._next = ()
        if self._known is not None and same_words(self._known.text, self._settled):
            self._news = self._known._replace(text=self._settled)
        elif self._wanted(messages):
            self._stop()
            load = self._context.load("llm")
            if not load.waiting and load.running < load.slots:
                self._submit(messages, urgent=True)

    def take_end(self) -> MessageEnd | None:
        """Return, once, what has become known of the end of the message."""
        news, self._news = self._news, None
        return news

    def open_jobs(self) -> tuple[str, ...]:
        """Return the id of the job that has not ended, if any."""
        return (self._job_id,) if self._job_id else ()

    def owns(self, job_id: str) -> bool:
        """Tell whether a job is the one asked for last."""
        return job_id == self._job_id and bool(job_id)

    def on_result(self, body: ResultBody) -> None:
        """Take one result of the job. A failure costs one reading ahead and is not told."""
        if isinstance(body, TurnEnd):
            if self._context.config.turn_taking.score_end:
                self._known = self._news = MessageEnd(
                    self._reads[-1].content, body.probability, body.phrase_end
                )
        elif isinstance(body, Done | Failed):
            self._job_id = ""
            if self._next:
                self.read(self._next)

    def _stop(self) -> None:
        self._next = self._reads = ()
        self._known = None
        if self._job_id:
            self._context.cancel(self._job_id)
        self._job_id = ""

    def _wanted(self, messages: tuple[ChatMessage, ...]) -> bool:
        """Whether there is something in it that was not read, or is not being read."""
        if not self._context.config.turn_taking.warming:
            return False
        before, last = messages[:-1], messages[-1]
        was_read = self._reads[:-1] == before and bool(self._reads)
        return not (was_read and same_words(self._reads[-1].content, last.content))

    def _submit(self, messages: tuple[ChatMessage, ...], *, urgent: bool) -> None:
        self._reads = messages
        self._job_id = self._context.submit(
            generation.read_prompt(messages, self._settings.response()),
            budget_ms=_BUDGET_MS,
            urgent=urgent,
        )


def has_room_to_spare(load: StageLoad) -> bool:
    """Tell whether reading ahead would delay no answer: half of the slots are free."""
    return not load.waiting and 2 * load.running < load.slots
