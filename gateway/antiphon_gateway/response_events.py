"""The Realtime events of one response, its message and its function calls, in their order."""

from collections.abc import Callable
from typing import Any

import msgspec

from antiphon_gateway.effects import SendAudio
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.items import (
    FunctionCallItem,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
    Status,
)
from antiphon_gateway.realtime.response_object import (
    ResponseObject,
    ResponseStatus,
    StatusDetails,
    Usage,
)
from antiphon_gateway.realtime.response_settings import ResponseSettings, response_object
from antiphon_gateway.session_context import SessionContext

AddItem = Callable[[Item], str | None]
"""Takes an item into the conversation; returns the id of the item before it."""


class ResponseEvents:
    """Sends the events of one response. Every opening is closed by `close`, whatever happened."""

    def __init__(self, context: SessionContext, settings: ResponseSettings, *, stream: int) -> None:
        self.response_id = context.new_id("resp")
        self.item_id = context.new_id("item")
        self._context = context
        self._settings = settings
        self._stream = stream
        self._speaks = speaks(settings)
        self._in_conversation = settings.conversation == "auto"
        self._add: AddItem = lambda _: None
        self._previous_item_id: str | None = None
        self._message_at: int | None = None
        """The place of the message among the items of the response, once it is announced."""
        self._calls: list[FunctionCallItem] = []
        self._audio_started = False

    @property
    def calls(self) -> tuple[FunctionCallItem, ...]:
        """The functions called so far."""
        return tuple(self._calls)

    def open(self, add: AddItem) -> None:
        """Announce the response. `add` makes an item one of the conversation's, if it is."""
        self._add = add
        self._context.send(events.ResponseCreated(response=self._response("in_progress")))

    def open_message(self) -> None:
        """Announce the empty message, once."""
        if self._message_at is not None:
            return
        self._message_at = len(self._calls)
        self._previous_item_id = self._add(self.item("", "in_progress"))
        item = MessageItem(id=self.item_id, role="assistant", content=(), status="in_progress")
        self._announce(item, self._message_at, self._previous_item_id)
        self._context.send(self._part(events.ContentPartAdded, part=self._content("")))

    def call(self, name: str, arguments: str) -> None:
        """Tell the client to call a function."""
        at = len(self._calls) + (self._message_at is not None)
        item = FunctionCallItem(
            id=self._context.new_id("item"),
            call_id=self._context.new_id("call"),
            name=name,
            arguments=arguments,
        )
        self._calls.append(item)
        previous_item_id = self._add(item)
        begun = msgspec.structs.replace(item, arguments="", status="in_progress")
        self._announce(begun, at, previous_item_id)
        send = self._context.send
        place: Any = {"response_id": self.response_id, "item_id": item.id, "output_index": at}
        call: Any = {**place, "call_id": item.call_id}
        send(events.FunctionArgumentsDelta(**call, delta=arguments))
        send(events.FunctionArgumentsDone(**call, name=name, arguments=arguments))
        self._finish(item, at, previous_item_id)

    def show(self, delta: str) -> None:
        """Send more text."""
        kind = events.OutputTranscriptDelta if self._speaks else events.OutputTextDelta
        self._context.send(self._part(kind, delta=delta))

    def send_audio(self, first_sample: int, sample_rate_hz: int, pcm: bytes) -> None:
        """Send more audio: PCM16 at the response's rate."""
        if not self._audio_started and self._context.extensions:
            self._context.send(
                self._part(events.AudioStarted, stream=self._stream, sample_rate_hz=sample_rate_hz)
            )
        self._audio_started = True
        self._context.emit(
            SendAudio(
                self.response_id,
                self.item_id,
                self._stream,
                first_sample,
                sample_rate_hz,
                self._settings.format,
                pcm,
            )
        )

    def close(
        self,
        status: ResponseStatus,
        details: StatusDetails | None,
        *,
        text: str,
        usage: Usage | None,
    ) -> MessageItem:
        """Close everything that was opened; return the final message."""
        item_status: Status = "completed" if status == "completed" else "incomplete"
        item = self.item(text, item_status)
        output: list[MessageItem | FunctionCallItem] = [*self._calls]
        if self._message_at is not None:
            self._close_message(item, text, self._message_at)
            output.insert(self._message_at, item)
        response = self._response(status, details, output=tuple(output), usage=usage)
        self._context.send(events.ResponseDone(response=response))
        return item

    def _close_message(self, item: MessageItem, text: str, at: int) -> None:
        send = self._context.send
        if self._speaks:
            send(self._part(events.OutputAudioDone))
            send(self._part(events.OutputTranscriptDone, transcript=text))
        else:
            send(self._part(events.OutputTextDone, text=text))
        send(self._part(events.ContentPartDone, part=self._content(text)))
        self._finish(item, at, self._previous_item_id)

    def _announce(self, item: Item, at: int, previous_item_id: str | None) -> None:
        send, response_id = self._context.send, self.response_id
        send(events.OutputItemAdded(response_id=response_id, output_index=at, item=item))
        if self._in_conversation:
            send(events.ItemAdded(previous_item_id=previous_item_id, item=item))

    def _finish(self, item: Item, at: int, previous_item_id: str | None) -> None:
        send, response_id = self._context.send, self.response_id
        send(events.OutputItemDone(response_id=response_id, output_index=at, item=item))
        if self._in_conversation:
            send(events.ItemDone(previous_item_id=previous_item_id, item=item))

    def item(self, text: str, status: Status) -> MessageItem:
        """Return the response's item with the text it has."""
        part = OutputAudio(transcript=text) if self._speaks else OutputText(text=text)
        return MessageItem(id=self.item_id, role="assistant", content=(part,), status=status)

    def _content(self, text: str) -> events.Part:
        if self._speaks:
            return events.AudioPart(transcript=text)
        return events.TextPart(text=text)

    def _part(self, kind: type[events.PartEvent], **fields: Any) -> events.PartEvent:
        return kind(
            response_id=self.response_id,
            item_id=self.item_id,
            output_index=self._message_at or 0,
            content_index=0,
            **fields,
        )

    def _response(
        self,
        status: ResponseStatus,
        details: StatusDetails | None = None,
        *,
        output: tuple[MessageItem | FunctionCallItem, ...] = (),
        usage: Usage | None = None,
    ) -> ResponseObject:
        created = response_object(self.response_id, self._settings, self._context.conversation_id)
        return msgspec.structs.replace(
            created, status=status, status_details=details, output=output, usage=usage
        )


def speaks(settings: ResponseSettings) -> bool:
    """Tell whether a response is spoken, not only written."""
    return settings.output_modalities == ("audio",)
