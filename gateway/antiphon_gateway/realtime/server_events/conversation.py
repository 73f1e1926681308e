"""Server events about the items of the conversation."""

from antiphon_gateway.realtime.items import Item
from antiphon_gateway.realtime.server_events.base import ServerEvent


class ItemAdded(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.added"):
    """An item entered the conversation, perhaps still empty."""

    previous_item_id: str | None
    item: Item


class ItemDone(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.done"):
    """An item is final."""

    previous_item_id: str | None
    item: Item


class ItemRetrieved(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"):
    """The item asked for."""

    item: Item


class ItemTruncated(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"):
    """An assistant item was cut to what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleted(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"):
    """An item left the conversation."""

    item_id: str
