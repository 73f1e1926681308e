"""Conversation items in the shape in which the server keeps and sends them.

Audio is never part of an item: a spoken part is its transcript.
"""

from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]
Status = Literal["in_progress", "completed", "incomplete"]
ItemObject = Literal["realtime.item"]


class InputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    """Text of a user or system message."""

    text: str


class InputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """Speech of the user."""

    transcript: str | None = None
    """None until transcribed. Sent even then: clients drop the item when the key is absent."""


class OutputText(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    """Text of an assistant message in text mode."""

    text: str


class OutputAudio(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio"):
    """Speech of the assistant."""

    transcript: str = ""


Content = InputText | InputAudio | OutputText | OutputAudio


class MessageItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """What one side said."""

    id: str
    role: Role
    content: tuple[Content, ...]
    status: Status = "completed"
    object: ItemObject = "realtime.item"


class FunctionCallItem(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"
):
    """A call that the assistant wants the client to make."""

    id: str
    call_id: str
    name: str
    arguments: str
    """A JSON object as text."""
    status: Status = "completed"
    object: ItemObject = "realtime.item"


class FunctionCallOutputItem(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What the client's function returned."""

    id: str
    call_id: str
    output: str
    status: Status = "completed"
    object: ItemObject = "realtime.item"


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem


def content_text(part: Content) -> str:
    """Return the text or transcript of a content part, empty when there is none yet."""
    if isinstance(part, InputText | OutputText):
        return part.text
    return part.transcript or ""


def with_part(item: MessageItem, content_index: int, text: str) -> MessageItem:
    """Return the item with another text or transcript in one content part."""
    parts = list(item.content)
    part = parts[content_index]
    parts[content_index] = (
        msgspec.structs.replace(part, text=text)
        if isinstance(part, InputText | OutputText)
        else msgspec.structs.replace(part, transcript=text)
    )
    return msgspec.structs.replace(item, content=tuple(parts))


def without_transcripts(item: Item) -> Item:
    """Return the item as a client has it that asks for no transcripts of the user's speech."""
    if not isinstance(item, MessageItem):
        return item
    content = tuple(InputAudio() if isinstance(p, InputAudio) else p for p in item.content)
    return msgspec.structs.replace(item, content=content)


def message_text(item: MessageItem) -> str:
    """Return the texts and transcripts of a message, one line each."""
    return "\n".join(text for part in item.content if (text := content_text(part).strip()))


def text_chars(item: Item) -> int:
    """Return how many characters of text an item holds."""
    match item:
        case MessageItem(content=content):
            return sum(len(content_text(part)) for part in content)
        case FunctionCallItem(name=name, arguments=arguments):
            return len(name) + len(arguments)
        case FunctionCallOutputItem(output=output):
            return len(output)
