"""Pure: what happened in one trial, and the questions asked of it."""

import dataclasses
from typing import Any, NamedTuple

from antiphon import events
from antiphon.connection import Audio, Message
from bench.turns.listener import Listener
from bench.turns.plans import Trial


class UserItem(NamedTuple):
    """A turn of the user as the server committed it."""

    item_id: str
    committed_s: float
    transcript: str | None
    """None while there is none."""
    deleted: bool


class ResponseSeen(NamedTuple):
    """A response as the listener met it."""

    response_id: str
    status: str
    """Empty while it has not ended."""
    audible_s: float | None
    """When its first audible sample was played."""
    silent_s: float | None
    """When the last of it was played; None when nothing was."""


DUCK = "antiphon.duck"


def field(event: events.Event, name: str) -> Any:
    """Return a field of an event, whether this client has a struct for its type or not."""
    if isinstance(event, events.OtherEvent):
        return event.body.get(name)
    return getattr(event, name, None)


@dataclasses.dataclass
class Record:
    """One trial. Times are seconds of the monotonic clock."""

    trial: Trial
    listener: Listener = dataclasses.field(default_factory=Listener)
    log: list[tuple[float, events.Event]] = dataclasses.field(default_factory=list)
    began_s: float | None = None
    """When the first sample of the sound was captured; for an echo, when the reply was heard."""
    kept: dict[str, str] = dataclasses.field(default_factory=dict)
    """The text that the server's history keeps of interrupted replies, by item."""
    failure: str = ""
    """Why the trial says nothing."""
    memory_mib: list[float] = dataclasses.field(default_factory=list)
    """Memory of the speech recognition, once a second."""

    def note(self, message: Message, now_s: float) -> None:
        """Take note of a message that arrived now."""
        if isinstance(message, Audio):
            self.listener.add(message)
            return
        if message.type == DUCK:
            self.listener.duck(now_s, ducked=bool(field(message, "ducked")))
        self.log.append((now_s, message))

    # --- the sound -------------------------------------------------------------------------

    @property
    def speech_start_s(self) -> float:
        """When the speech began, or the sound."""
        return self._sound_s(self.trial.sound.start_ms if self.trial.sound else 0.0)

    @property
    def speech_end_s(self) -> float:
        """When the speech ended, or the sound."""
        return self._sound_s(self.trial.sound.end_ms if self.trial.sound else 0.0)

    def _sound_s(self, at_ms: float) -> float:
        assert self.began_s is not None
        return self.began_s + at_ms / 1000

    @property
    def ducks(self) -> list[tuple[float, bool]]:
        """When the reply was made quieter, or loud again, after the sound had begun."""
        began_s = self.began_s or 0.0
        return [(at_s, bool(field(e, "ducked"))) for at_s, e in self.named(DUCK) if at_s >= began_s]

    # --- the server ------------------------------------------------------------------------

    @property
    def user_items(self) -> list[UserItem]:
        """Every turn of the user, in order, also those taken back."""
        items: dict[str, UserItem] = {}
        for at_s, event in self.log:
            match event:
                case events.Committed(item_id=id_):
                    items[id_] = UserItem(id_, at_s, None, False)
                case events.TranscriptCompleted(item_id=id_, transcript=text) if id_ in items:
                    items[id_] = items[id_]._replace(transcript=text)
                case events.ItemDeleted(item_id=id_) if id_ in items:
                    items[id_] = items[id_]._replace(deleted=True)
        return list(items.values())

    @property
    def turns(self) -> list[UserItem]:
        """The turns that the conversation keeps and that hold words."""
        return [t for t in self.user_items if not t.deleted and (t.transcript or "").strip()]

    @property
    def understood(self) -> str:
        """The words of all turns kept."""
        return " ".join((turn.transcript or "").strip() for turn in self.turns)

    @property
    def responses(self) -> list[ResponseSeen]:
        """Every response, in order."""
        status: dict[str, str] = {}
        for _, event in self.log:
            if isinstance(event, events.ResponseCreated):
                status.setdefault(event.response.id, "")
            elif isinstance(event, events.ResponseDone):
                status[event.response.id] = event.response.status
        return [self._seen(response_id, ended) for response_id, ended in status.items()]

    @property
    def interrupted_items(self) -> set[str]:
        """The items of replies that were cancelled or cut off, as far as any of them was heard."""
        cancelled = {r.response_id for r in self.responses if r.status == "cancelled"}
        heard = [piece for piece in self.listener.pieces if piece.end_s > piece.start_s]
        items = {piece.item_id for piece in heard if piece.response_id in cancelled}
        return items | {flush.item_id for flush in self.listener.flushes}

    def item_of(self, response_id: str) -> str | None:
        """Return the item of a response's audio."""
        pieces = self.listener.pieces
        return next((p.item_id for p in pieces if p.response_id == response_id), None)

    def cancelled_s(self, response_id: str) -> list[float]:
        """Return when a response was cancelled; nothing when it was not."""
        return [
            at_s
            for at_s, event in self.log
            if isinstance(event, events.ResponseDone)
            and event.response.id == response_id
            and event.response.status == "cancelled"
        ]

    def _seen(self, response_id: str, status: str) -> ResponseSeen:
        played = [
            piece
            for piece in self.listener.pieces
            if piece.response_id == response_id and piece.end_s > piece.start_s
        ]
        audible = next((at for piece in played if (at := piece.audible_s) is not None), None)
        silent = max((piece.end_s for piece in played), default=None)
        return ResponseSeen(response_id, status, audible, silent)

    def said(self, response_id: str) -> str:
        """Return the words of a reply, as far as they were sent."""
        return "".join(
            event.delta
            for _, event in self.log
            if isinstance(event, events.TextDelta)
            and event.type == "response.output_audio_transcript.delta"
            and event.response_id == response_id
        )

    @property
    def transcribed(self) -> bool:
        """Whether every turn kept has its transcript or will not get one."""
        failed = {field(e, "item_id") for e in self.errors}
        waiting = [t for t in self.user_items if not t.deleted and t.transcript is None]
        return all(turn.item_id in failed for turn in waiting)

    @property
    def errors(self) -> list[events.Event]:
        """Events that say that something failed."""
        return [e for _, e in self.log if e.type == "error" or e.type.endswith(".failed")]

    def named(self, *types: str) -> list[tuple[float, events.Event]]:
        """Return the events of some types with their times."""
        return [(at_s, event) for at_s, event in self.log if event.type in types]
