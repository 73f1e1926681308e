"""The Realtime events of one response and its single message item, in their order."""

from typing import Any

import msgspec

from antiphon_gateway.effects import SendAudio
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.items import MessageItem, OutputAudio, OutputText, Status
from antiphon_gateway.realtime.response_object import (
    ResponseObject,
    ResponseStatus,
    StatusDetails,
    Usage,
)
from antiphon_gateway.realtime.response_settings import ResponseSettings, response_object
from antiphon_gateway.session_context import SessionContext


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
        self._previous_item_id: str | None = None
        self._audio_started = False

    def open(self, previous_item_id: str | None) -> None:
        """Announce the response and its empty item."""
        self._previous_item_id = previous_item_id
        item = MessageItem(id=self.item_id, role="assistant", content=(), status="in_progress")
        send = self._context.send
        send(events.ResponseCreated(response=self._response("in_progress")))
        send(events.OutputItemAdded(response_id=self.response_id, output_index=0, item=item))
        if self._in_conversation:
            send(events.ItemAdded(previous_item_id=previous_item_id, item=item))
        send(self._part(events.ContentPartAdded, part=self._content("")))

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
        """Close everything that `open` opened; return the final item."""
        item_status: Status = "completed" if status == "completed" else "incomplete"
        item = self.item(text, item_status)
        send = self._context.send
        if self._speaks:
            send(self._part(events.OutputAudioDone))
            send(self._part(events.OutputTranscriptDone, transcript=text))
        else:
            send(self._part(events.OutputTextDone, text=text))
        send(self._part(events.ContentPartDone, part=self._content(text)))
        send(events.OutputItemDone(response_id=self.response_id, output_index=0, item=item))
        if self._in_conversation:
            send(events.ItemDone(previous_item_id=self._previous_item_id, item=item))
        response = self._response(status, details, output=(item,), usage=usage)
        send(events.ResponseDone(response=response))
        return item

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
            output_index=0,
            content_index=0,
            **fields,
        )

    def _response(
        self,
        status: ResponseStatus,
        details: StatusDetails | None = None,
        *,
        output: tuple[MessageItem, ...] = (),
        usage: Usage | None = None,
    ) -> ResponseObject:
        created = response_object(self.response_id, self._settings, self._context.conversation_id)
        return msgspec.structs.replace(
            created, status=status, status_details=details, output=output, usage=usage
        )


def speaks(settings: ResponseSettings) -> bool:
    """Tell whether a response is spoken, not only written."""
    return settings.output_modalities == ("audio",)
