"""Conversation items as clients send them, and what the server makes of them."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.items import (
    Content,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputText,
    Item,
    ItemObject,
    MessageItem,
    OutputAudio,
    OutputText,
    Role,
    Status,
)

MAX_ID_CHARS = 64
MAX_TEXT_CHARS = 65_536
MAX_CONTENT_PARTS = 64

ClientId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]

_CONTENT_OF: Mapping[Role, tuple[str, ...]] = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text", "output_audio"),
}


class ClientInputText(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"
):
    """Text of a user or system message."""

    text: Text


class ClientInputAudio(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"
):
    """Speech of the user, as audio, as text or both."""

    audio: bytes | None = None
    """In the session's input format; base64 on the wire."""
    transcript: Text | None = None


class ClientOutputText(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"
):
    """Text that the assistant wrote earlier."""

    text: Text


class ClientOutputAudio(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="output_audio"
):
    """Speech that the assistant said earlier. Its audio is ignored."""

    transcript: Text | None = None


ClientContent = ClientInputText | ClientInputAudio | ClientOutputText | ClientOutputAudio


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message to add to the conversation."""

    role: Role
    content: Annotated[tuple[ClientContent, ...], msgspec.Meta(max_length=MAX_CONTENT_PARTS)]
    id: ClientId | None = None
    status: Status | None = None
    object: ItemObject | None = None


class ClientFunctionCall(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"
):
    """A function call of an earlier conversation."""

    name: Text
    arguments: Text
    call_id: ClientId | None = None
    id: ClientId | None = None
    status: Status | None = None
    object: ItemObject | None = None


class ClientFunctionCallOutput(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What a function returned."""

    call_id: ClientId
    output: Text
    id: ClientId | None = None
    status: Status | None = None
    object: ItemObject | None = None


class ItemReference(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="item_reference"
):
    """An item of the conversation, named in the input of a response."""

    id: ClientId


class SpokenPart(msgspec.Struct, frozen=True):
    """Speech in an item that came without its words."""

    item_id: str
    content_index: int
    path: str
    """Where it is in the client's event."""
    audio: bytes
    """In the session's input format."""


ClientItem = ClientMessage | ClientFunctionCall | ClientFunctionCallOutput


def accept(item: ClientItem, at: str = "item") -> Item:
    """Return the item as the server keeps it: complete, with an id, without audio.

    Raises InvalidEvent when a content type does not fit the role; `at` is the path of the item.
    """
    item_id = item.id or new_id("item")
    if isinstance(item, ClientFunctionCall):
        return FunctionCallItem(
            id=item_id,
            call_id=item.call_id or new_id("call"),
            name=item.name,
            arguments=item.arguments,
        )
    if isinstance(item, ClientFunctionCallOutput):
        return FunctionCallOutputItem(id=item_id, call_id=item.call_id, output=item.output)
    for index, part in enumerate(item.content):
        kind = part.__struct_config__.tag
        if kind not in _CONTENT_OF[item.role]:
            param = f"{at}.content[{index}].type"
            allowed = ", ".join(_CONTENT_OF[item.role])
            raise InvalidEvent(
                "invalid_value",
                f"{param}: {kind} is no content of a {item.role} message; allowed: {allowed}",
                param=param,
            )
    content = tuple(_accept_part(part) for part in item.content)
    return MessageItem(id=item_id, role=item.role, content=content)


def spoken_parts(item: ClientItem, item_id: str, at: str = "item") -> tuple[SpokenPart, ...]:
    """Return the audio that came without a transcript; `at` is the path of the item."""
    if not isinstance(item, ClientMessage):
        return ()
    return tuple(
        SpokenPart(item_id, index, f"{at}.content[{index}].audio", part.audio)
        for index, part in enumerate(item.content)
        if isinstance(part, ClientInputAudio) and part.audio and part.transcript is None
    )


def _accept_part(part: ClientContent) -> Content:
    match part:
        case ClientInputText(text=text):
            return InputText(text=text)
        case ClientInputAudio(transcript=transcript):
            return InputAudio(transcript=transcript)
        case ClientOutputText(text=text):
            return OutputText(text=text)
        case ClientOutputAudio(transcript=transcript):
            return OutputAudio(transcript=transcript or "")
