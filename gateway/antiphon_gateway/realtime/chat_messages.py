"""What the language model reads of a conversation's items. Pure."""

from collections.abc import Sequence

from antiphon_gateway.realtime.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    message_text,
)
from antiphon_proto.conversation import ChatMessage, FunctionCall


def chat_messages(items: Sequence[Item]) -> list[ChatMessage]:
    """Return the messages of some items, in order; what has no text and calls nothing is left out.

    An output stands right behind the call that it answers, wherever the client put it. When
    something else was answered meanwhile both stand where the output came: what comes last is what
    the model answers.
    """
    calls = {item.call_id: item for item in items if isinstance(item, FunctionCallItem)}
    outputs: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, FunctionCallOutputItem):
            outputs.setdefault(item.call_id, []).append(item.output)
    late = _late(items)
    chat: list[ChatMessage] = []
    for item in items:
        if isinstance(item, FunctionCallItem):
            if item.call_id not in late:
                chat += [_call(item), *_outputs(item.call_id, outputs)]
        elif isinstance(item, FunctionCallOutputItem):
            if item.call_id in late and item.call_id in outputs:
                chat.append(_call(calls[item.call_id]))
            if item.call_id in late or item.call_id not in calls:
                chat += _outputs(item.call_id, outputs)
        elif text := message_text(item):
            chat.append(ChatMessage(item.role, text))
    return chat


def _late(items: Sequence[Item]) -> set[str]:
    """Return the calls whose first output came after an answer to something else."""
    waiting: dict[str, bool] = {}
    late: set[str] = set()
    for item in items:
        if isinstance(item, FunctionCallItem):
            waiting[item.call_id] = False
        elif isinstance(item, FunctionCallOutputItem):
            if waiting.pop(item.call_id, False):
                late.add(item.call_id)
        elif item.role == "assistant" and message_text(item):
            waiting = dict.fromkeys(waiting, True)
    return late


def _call(item: FunctionCallItem) -> ChatMessage:
    call = FunctionCall(item.call_id, item.name, item.arguments)
    return ChatMessage("assistant", "", calls=(call,))


def _outputs(call_id: str, outputs: dict[str, list[str]]) -> list[ChatMessage]:
    """Return the outputs of a call, once."""
    return [ChatMessage("tool", text, call_id=call_id) for text in outputs.pop(call_id, ())]
