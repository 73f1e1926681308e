"""A session's conversation: its items, what was heard of them, the events that tell. Pure."""

from collections import OrderedDict, deque
from collections.abc import Sequence, Set

from antiphon_gateway.realtime import client_events as client
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.client_items import accept
from antiphon_gateway.realtime.conversation import Added, Conversation
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.items import (
    Content,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
    message_text,
    without_transcripts,
)
from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.response import Response
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.conversation import ChatMessage

_REMEMBERED_RESPONSES = 32
"""Responses whose heard text can still be cut by a late `conversation.item.truncate`."""
_AUDIBLE_RESPONSES = 2
"""The newest ones, of which the microphone may still hear an echo."""
_HARDLY_HEARD_WORDS = 2
"""An answer of which no more was heard goes with the turn that was ended too early."""

ItemEvent = client.ItemCreate | client.ItemRetrieve | client.ItemDelete | client.ItemTruncate


class History:
    """Keeps one conversation and tells the client of every change to it."""

    def __init__(self, context: SessionContext) -> None:
        self.conversation = Conversation()
        self._context = context
        self._recent: OrderedDict[str, Response] = OrderedDict()
        self._cut_by_client: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)
        """Of these it is known what was heard, not estimated."""
        self._taken_back: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)
        """Deleted by us; a client that has not read that yet may still cut them."""

    def messages(
        self, settings: ResponseSettings, heard: str | None = None
    ) -> tuple[ChatMessage, ...]:
        """Return what the model reads; `heard` is a turn that is not an item yet.

        Raises InvalidEvent when the input of the response names an item that is not there.
        """
        messages = self.conversation.messages(settings.instructions, settings.input)
        return messages if heard is None else (*messages, ChatMessage("user", heard))

    # --- the user's turns ------------------------------------------------------------------

    def add_turn(self, turn: UserTurn) -> None:
        """The turn is over: it becomes an item."""
        self._context.send(
            events.InputAudioCommitted(
                previous_item_id=self.conversation.last_item_id, item_id=turn.item_id
            )
        )
        self._add(MessageItem(id=turn.item_id, role="user", content=(InputAudio(),)), None)

    def set_transcript(self, turn: UserTurn, transcript: str) -> None:
        """A turn has its transcript."""
        if self._holds(turn.item_id, InputAudio, at=turn.content_index):
            self.conversation.set_transcript(turn.item_id, transcript, turn.content_index)
        self._context.send(
            events.TranscriptionCompleted(
                item_id=turn.item_id,
                content_index=turn.content_index,
                transcript=transcript,
                usage=events.DurationUsage(seconds=turn.seconds),
            )
        )

    # --- responses -------------------------------------------------------------------------

    def add_output(self, response: Response, item: Item) -> str | None:
        """Make a response's item one of the conversation; return the id of the item before it."""
        previous = self.conversation.last_item_id
        if response.in_conversation:
            self._tell_forgotten(self.conversation.add(item))
            if response.is_filler:
                self.conversation.leave_unread(item.id)
            if item.id == response.item_id:
                self._recent[item.id] = response
                for earlier in [*self._recent.values()][:-_AUDIBLE_RESPONSES]:
                    earlier.played.forget()
            if len(self._recent) > _REMEMBERED_RESPONSES:
                self._recent.popitem(last=False)
        return previous

    def response_of(self, item_id: str) -> Response | None:
        """Return the response that made an item, when it is a recent one."""
        return self._recent.get(item_id)

    def forget_audio(self) -> None:
        """Nothing is heard any more."""
        for response in self._recent.values():
            response.played.forget()

    def record(self, response: Response) -> None:
        """Keep the final state of a response's item, once, unless it was cut or deleted before."""
        if self._holds(response.item_id, (OutputAudio, OutputText), "in_progress"):
            self.conversation.replace(response.item)

    def cut(self, response: Response, heard_text: str) -> None:
        """Keep only what was heard of a response's item, unless it was deleted meanwhile."""
        if self._holds(response.item_id, OutputAudio):
            self.conversation.truncate(response.item_id, 0, heard_text)

    def holds_turn(self, turn: UserTurn) -> bool:
        """Tell whether a turn's item is still there."""
        return self._holds(turn.item_id, InputAudio)

    def answers(self, response: Response | None, turn: UserTurn) -> bool:
        """Tell whether a response's item is an answer to a turn: it comes after the turn's item."""
        order = [item.id for item in self.conversation.items]
        ids = (turn.item_id, response.item_id if response is not None else "")
        return all(one in order for one in ids) and order.index(ids[0]) < order.index(ids[1])

    def retract(self, turn: UserTurn, response: Response | None) -> None:
        """Take a turn's item back, and its answer's when hardly a word of that was heard."""
        if response is not None and self.answers(response, turn):
            item = self.conversation.retrieve(response.item_id)
            hardly_heard = (
                isinstance(item, MessageItem)
                and len(message_text(item).split()) <= _HARDLY_HEARD_WORDS
            )
            if hardly_heard:
                self._take_back(response.item_id)
        self._take_back(turn.item_id)

    def awaits_output(self, calls: Sequence[FunctionCallItem]) -> bool:
        """Tell whether one of these calls is still there without an output."""
        items = self.conversation.items
        called = {item.call_id for item in items if isinstance(item, FunctionCallItem)}
        answered = {item.call_id for item in items if isinstance(item, FunctionCallOutputItem)}
        return any(call.call_id in called - answered for call in calls)

    # --- client events ---------------------------------------------------------------------

    def handle(self, event: ItemEvent, taken: Set[str] = frozenset()) -> None:
        """Carry out what the client asks of the items. Raises InvalidEvent.

        `taken` are the ids of the open utterance and of the running response.
        """
        match event:
            case client.ItemCreate(item=item, previous_item_id=previous_item_id):
                if item.id in taken:
                    raise InvalidEvent(
                        "item_already_exists", f"item.id {item.id!r} is taken", param="item.id"
                    )
                self._add(accept(item), previous_item_id)
            case client.ItemRetrieve(item_id=item_id):
                kept = self.conversation.retrieve(item_id)
                if not self._context.tells_transcripts:
                    kept = without_transcripts(kept)
                self._context.send(events.ItemRetrieved(item=kept))
            case client.ItemDelete(item_id=item_id):
                self.conversation.delete(item_id)
                self._context.send(events.ItemDeleted(item_id=item_id))
            case client.ItemTruncate():
                self._truncate(event)

    # --- inside ----------------------------------------------------------------------------

    def _take_back(self, item_id: str) -> None:
        self.conversation.delete(item_id)
        self._context.send(events.ItemDeleted(item_id=item_id))
        self._taken_back.append(item_id)

    def _truncate(self, event: client.ItemTruncate) -> None:
        if event.item_id in self._taken_back:
            return
        response = self._recent.get(event.item_id)
        item = self.conversation.retrieve(event.item_id)
        heard = (
            response.heard_until(event.audio_end_ms)
            if response is not None
            else message_text(item)
            if isinstance(item, MessageItem)
            else ""
        )
        if response is not None:
            self.record(response)
        known = response is not None and event.item_id not in self._cut_by_client
        self.conversation.truncate(event.item_id, event.content_index, heard, known=known)
        if response is not None:
            self._cut_by_client.append(event.item_id)
            response.silence()
        self._context.send(
            events.ItemTruncated(
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def _add(self, item: Item, previous_item_id: str | None) -> None:
        added = self.conversation.add(item, previous_item_id)
        self._tell_forgotten(added)
        self._context.send(events.ItemAdded(previous_item_id=added.previous_item_id, item=item))
        self._context.send(events.ItemDone(previous_item_id=added.previous_item_id, item=item))

    def _tell_forgotten(self, added: Added) -> None:
        for item_id in added.forgotten:
            self._context.send(events.ItemDeleted(item_id=item_id))

    def _holds(
        self,
        item_id: str,
        kind: type[Content] | tuple[type[Content], ...],
        status: str = "",
        at: int = 0,
    ) -> bool:
        """Tell whether an item is there still and no other that the client gave its id."""
        return any(
            item.id == item_id
            and isinstance(item, MessageItem)
            and at < len(item.content)
            and isinstance(item.content[at], kind)
            and status in ("", item.status)
            for item in self.conversation.items
        )
