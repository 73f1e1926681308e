"""Server events about a response."""

import msgspec

from antiphon_gateway.realtime.items import Item
from antiphon_gateway.realtime.response_object import ResponseObject
from antiphon_gateway.realtime.server_events.base import ServerEvent


class AudioPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """A spoken part of a response."""

    transcript: str = ""


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A written part of a response."""

    text: str = ""


Part = AudioPart | TextPart


class ResponseCreated(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response begins."""

    response: ResponseObject


class ResponseDone(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, whatever way."""

    response: ResponseObject


class OutputItemAdded(ServerEvent, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item of a response begins."""

    response_id: str
    output_index: int
    item: Item


class OutputItemDone(ServerEvent, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item of a response ended."""

    response_id: str
    output_index: int
    item: Item


class PartEvent(ServerEvent, frozen=True, kw_only=True):
    """Base of the events about one content part of a response."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ContentPartAdded(PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A content part begins."""

    part: Part


class ContentPartDone(PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A content part ended."""

    part: Part


class OutputAudioDelta(PartEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"):
    """More audio in the response's output format; base64 on the wire."""

    delta: bytes


class OutputAudioDone(PartEvent, frozen=True, kw_only=True, tag="response.output_audio.done"):
    """No more audio of this part, also when cancelled."""


class OutputTranscriptDelta(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """More text of the spoken audio."""

    delta: str


class OutputTranscriptDone(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """The text of the spoken audio."""

    transcript: str


class OutputTextDelta(PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More text of a response in text mode."""

    delta: str


class OutputTextDone(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The text of a response in text mode."""

    text: str


class FunctionArgumentsDelta(
    ServerEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More of a function call's arguments."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


class FunctionArgumentsDone(
    ServerEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """A function call's arguments, a JSON object as text."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str
