"""The items of one conversation in order, and what the language model reads of them."""

from collections.abc import Sequence

import msgspec

from antiphon_gateway.realtime.chat_messages import chat_messages
from antiphon_gateway.realtime.client_items import ItemReference
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.items import (
    Item,
    MessageItem,
    OutputAudio,
    content_text,
    text_chars,
    with_part,
)
from antiphon_proto.conversation import ChatMessage

MAX_ITEMS = 1_000
MAX_CHARS = 500_000

ROOT = "root"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """Where an item went, and what had to go for it."""

    previous_item_id: str | None
    """None when the item is the first."""
    forgotten: tuple[str, ...] = ()
    """Ids of the items that were dropped to keep the bounds."""


class Conversation:
    """Ordered items, bounded in number and in text.

    When a bound is passed, the oldest items are forgotten: system messages last, the item just
    added and items in progress never. An item that is longer than the whole bound is refused.
    """

    def __init__(self, *, max_items: int = MAX_ITEMS, max_chars: int = MAX_CHARS) -> None:
        """Start an empty conversation."""
        self.id = new_id("conv")
        self._items: list[Item] = []
        self._chars = 0
        self._unread: set[str] = set()
        self._max_items = max_items
        self._max_chars = max_chars

    @property
    def items(self) -> tuple[Item, ...]:
        """All items, the oldest first."""
        return tuple(self._items)

    @property
    def last_item_id(self) -> str | None:
        """Id of the newest item."""
        return self._items[-1].id if self._items else None

    def previous_item_id(self, item_id: str) -> str | None:
        """Return the id of the item before `item_id`, None when that is the first.

        Raises InvalidEvent when there is no such item.
        """
        index = self._index(item_id)
        return self._items[index - 1].id if index else None

    def add(self, item: Item, previous_item_id: str | None = None) -> Added:
        """Insert an item: at the end (None), at the start (`root`), or after another item.

        Raises InvalidEvent when its id is taken, the other item is unknown or it is too long.
        """
        if self._find(item.id) is not None:
            raise InvalidEvent(
                "item_already_exists", f"item.id {item.id!r} is taken", param="item.id"
            )
        chars = text_chars(item)
        if chars > self._max_chars:
            raise InvalidEvent(
                "invalid_value",
                f"item has {chars} characters of text, the limit is {self._max_chars}",
                param="item",
            )
        index = self._place(previous_item_id)
        previous = self._items[index - 1].id if index else None
        self._items.insert(index, item)
        self._chars += chars
        return Added(previous_item_id=previous, forgotten=self._forget(keep=item.id))

    def replace(self, item: Item) -> None:
        """Put a newer state of an item in the place of the one with its id.

        Raises InvalidEvent when there is no such item.
        """
        index = self._index(item.id)
        self._chars += text_chars(item) - text_chars(self._items[index])
        self._items[index] = item

    def retrieve(self, item_id: str) -> Item:
        """Return an item.

        Raises InvalidEvent when there is no such item.
        """
        return self._items[self._index(item_id)]

    def delete(self, item_id: str) -> Item:
        """Remove an item and return it.

        Raises InvalidEvent when there is no such item.
        """
        item = self._items.pop(self._index(item_id))
        self._unread.discard(item_id)
        self._chars -= text_chars(item)
        return item

    @property
    def unread(self) -> tuple[str, ...]:
        """Ids of the items that the model does not read."""
        return tuple(item.id for item in self._items if item.id in self._unread)

    def leave_unread(self, item_id: str) -> None:
        """Keep an item from the model, until it is deleted.

        Raises InvalidEvent when there is no such item.
        """
        self._unread.add(self.retrieve(item_id).id)

    def set_transcript(self, item_id: str, transcript: str, content_index: int = 0) -> MessageItem:
        """Set the text or transcript of one content part and return the new item.

        Raises InvalidEvent when there is no such item or part.
        """
        item = self.retrieve(item_id)
        if not isinstance(item, MessageItem) or content_index >= len(item.content):
            raise _no_part(item_id, content_index)
        changed = with_part(item, content_index, transcript)
        self.replace(changed)
        return changed

    def truncate(
        self, item_id: str, content_index: int, heard_text: str, *, known: bool = False
    ) -> MessageItem:
        """Cut a spoken part of the assistant to what was heard and return the new item.

        With `known` that takes the place of an estimate, which it may be longer than. Else the text
        is never made longer, so a late or repeated cut does no harm. A message whose speech has not
        begun stays empty.

        Raises InvalidEvent when there is no such item or part, or it is not the assistant's speech.
        """
        item = self.retrieve(item_id)
        if not isinstance(item, MessageItem) or item.role != "assistant":
            raise InvalidEvent(
                "item_not_truncatable",
                f"item_id: {item_id!r} is not a message of the assistant",
                param="item_id",
            )
        if item.content and content_index >= len(item.content):
            raise _no_part(item_id, content_index)
        if item.content and not isinstance(item.content[content_index], OutputAudio):
            raise InvalidEvent(
                "item_not_truncatable",
                f"content_index: part {content_index} of item {item_id!r} is not audio",
                param="content_index",
            )
        cut = msgspec.structs.replace(item, status="incomplete")
        if item.content:
            text = content_text(item.content[content_index])
            heard = heard_text if known else min(text, heard_text, key=len)
            cut = with_part(cut, content_index, heard)
        self.replace(cut)
        return cut

    def messages(
        self,
        instructions: str,
        override: Sequence[Item | ItemReference] | None = None,
    ) -> tuple[ChatMessage, ...]:
        """Return what the language model reads; items without text and unread ones are skipped.

        With `override`, the input of a response, that is read instead of the conversation.

        Raises InvalidEvent when `override` names an item that is not there, or is longer than a
        conversation may be: it can name a long item a thousand times.
        """
        if override is None:
            items = [item for item in self._items if item.id not in self._unread]
        else:
            items = [self._resolve(item) for item in override]
            self._check_length(items)
        opening = (ChatMessage("system", instructions),) if instructions.strip() else ()
        return (*opening, *chat_messages(items))

    def _resolve(self, item: Item | ItemReference) -> Item:
        return self.retrieve(item.id) if isinstance(item, ItemReference) else item

    def _check_length(self, items: Sequence[Item]) -> None:
        chars = sum(text_chars(item) for item in items)
        if chars > self._max_chars:
            raise InvalidEvent(
                "invalid_value",
                f"input has {chars} characters of text, the limit is {self._max_chars}",
                param="response.input",
            )

    def _find(self, item_id: str) -> int | None:
        return next((at for at, item in enumerate(self._items) if item.id == item_id), None)

    def _index(self, item_id: str) -> int:
        index = self._find(item_id)
        if index is None:
            raise InvalidEvent(
                "item_not_found", f"item_id: there is no item {item_id!r}", param="item_id"
            )
        return index

    def _place(self, previous_item_id: str | None) -> int:
        if previous_item_id is None:
            return len(self._items)
        if previous_item_id == ROOT:
            return 0
        index = self._find(previous_item_id)
        if index is None:
            raise InvalidEvent(
                "item_create_invalid_previous_item_id",
                f"previous_item_id: there is no item {previous_item_id!r}",
                param="previous_item_id",
            )
        return index + 1

    def _forget(self, keep: str) -> tuple[str, ...]:
        """Drop the oldest items until the bounds are kept."""
        forgotten: list[str] = []
        for item in sorted(self._items, key=_is_system):
            if len(self._items) <= self._max_items and self._chars <= self._max_chars:
                break
            if item.id != keep and item.status != "in_progress":
                self.delete(item.id)
                forgotten.append(item.id)
        return tuple(forgotten)


def _is_system(item: Item) -> bool:
    return isinstance(item, MessageItem) and item.role == "system"


def _no_part(item_id: str, content_index: int) -> InvalidEvent:
    return InvalidEvent(
        "invalid_value",
        f"content_index: item {item_id!r} has no content part {content_index}",
        param="content_index",
    )
