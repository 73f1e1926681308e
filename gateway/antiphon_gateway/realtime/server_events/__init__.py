"""Every event that the server sends, and their JSON text.

Keys without a value are left out, not null, except where clients want null: `previous_item_id`,
`transcript`, `status_details`, `usage`, `metadata` and the fields of an error.
"""

import msgspec

from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.server_events.base import (
    ServerEvent,
)
from antiphon_gateway.realtime.server_events.conversation import (
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
)
from antiphon_gateway.realtime.server_events.extensions import (
    AudioStarted,
    Citation,
    Citations,
    Degraded,
    Duck,
    TranscriptPartial,
    TurnMetrics,
)
from antiphon_gateway.realtime.server_events.input_audio import (
    DurationUsage,
    IdleTimeoutTriggered,
    InputAudioCleared,
    InputAudioCommitted,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionError,
    TranscriptionFailed,
)
from antiphon_gateway.realtime.server_events.response import (
    AudioPart,
    ContentPartAdded,
    ContentPartDone,
    FunctionArgumentsDelta,
    FunctionArgumentsDone,
    OutputAudioDelta,
    OutputAudioDone,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    OutputTranscriptDelta,
    OutputTranscriptDone,
    Part,
    PartEvent,
    ResponseCreated,
    ResponseDone,
    TextPart,
)
from antiphon_gateway.realtime.server_events.session import (
    Error,
    ErrorDetail,
    SessionCreated,
    SessionUpdated,
)

__all__ = [
    "AudioPart",
    "AudioStarted",
    "Citation",
    "Citations",
    "ContentPartAdded",
    "ContentPartDone",
    "Degraded",
    "Duck",
    "DurationUsage",
    "Error",
    "ErrorDetail",
    "FunctionArgumentsDelta",
    "FunctionArgumentsDone",
    "IdleTimeoutTriggered",
    "InputAudioCleared",
    "InputAudioCommitted",
    "ItemAdded",
    "ItemDeleted",
    "ItemDone",
    "ItemRetrieved",
    "ItemTruncated",
    "OutputAudioDelta",
    "OutputAudioDone",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputTextDelta",
    "OutputTextDone",
    "OutputTranscriptDelta",
    "OutputTranscriptDone",
    "Part",
    "PartEvent",
    "ResponseCreated",
    "ResponseDone",
    "ServerEvent",
    "SessionCreated",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "TextPart",
    "TranscriptPartial",
    "TranscriptionCompleted",
    "TranscriptionDelta",
    "TranscriptionError",
    "TranscriptionFailed",
    "TurnMetrics",
    "encode",
    "invalid_event",
    "server_error",
]

_encoder = msgspec.json.Encoder()


def encode(event: ServerEvent) -> str:
    """Return the event as JSON text, with a fresh event id if it has none."""
    if not event.event_id:
        event = msgspec.structs.replace(event, event_id=new_id("event"))
    return _encoder.encode(event).decode()


def invalid_event(exc: InvalidEvent, client_event_id: str | None = None) -> Error:
    """Return the `error` event that tells a client what was wrong with its event.

    `client_event_id` serves when the refusal itself does not know the client's id.
    """
    detail = ErrorDetail(
        type="invalid_request_error",
        code=exc.code,
        message=exc.message,
        param=exc.param,
        event_id=exc.event_id or client_event_id,
    )
    return Error(error=detail)


def server_error(code: str, message: str, client_event_id: str | None = None) -> Error:
    """Return the `error` event for a failure that is not the client's."""
    detail = ErrorDetail(type="server_error", code=code, message=message, event_id=client_event_id)
    return Error(error=detail)
