"""What the language model reads of a conversation's items. Pure."""

from collections.abc import Iterable, Sequence

from antiphon_gateway.realtime.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    message_text,
)
from antiphon_proto.conversation import ChatMessage, FunctionCall


def chat_messages(items: Sequence[Item]) -> list[ChatMessage]:
    """Return the messages of some items, in order; what has no text and calls nothing is left out.

    An output stands right behind the call that it answers, wherever the client put it.
    """
    outputs: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, FunctionCallOutputItem):
            outputs.setdefault(item.call_id, []).append(item.output)
    chat: list[ChatMessage] = []
    for item in items:
        if isinstance(item, FunctionCallItem):
            call = FunctionCall(item.call_id, item.name, item.arguments)
            chat.append(ChatMessage("assistant", "", calls=(call,)))
            chat += _outputs(item.call_id, outputs)
        elif isinstance(item, FunctionCallOutputItem):
            chat += _outputs(item.call_id, outputs) if not _called(item, items) else []
        elif text := message_text(item):
            chat.append(ChatMessage(item.role, text))
    return chat


def _outputs(call_id: str, outputs: dict[str, list[str]]) -> list[ChatMessage]:
    """Return the outputs of a call, once."""
    return [ChatMessage("tool", text, call_id=call_id) for text in outputs.pop(call_id, ())]


def _called(output: FunctionCallOutputItem, items: Iterable[Item]) -> bool:
    return any(
        isinstance(item, FunctionCallItem) and item.call_id == output.call_id for item in items
    )
