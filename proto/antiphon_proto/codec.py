"""Messages to multipart frames and back: `[version byte + msgpack][payload]`.

One typed decoder per direction, so a message can only be decoded where it belongs.
"""

from typing import Generic, TypeVar

import msgspec

from antiphon_proto.errors import MalformedMessage
from antiphon_proto.messages import (
    Control,
    DispatchRequest,
    Job,
    Message,
    Notice,
    Result,
    Status,
)

PROTOCOL_VERSION = 1
_VERSION = bytes([PROTOCOL_VERSION])

MessageT = TypeVar("MessageT", bound=Message)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message, payload: bytes = b"") -> tuple[bytes, bytes]:
    """Return the two frames of a message and its payload."""
    return _VERSION + _encoder.encode(message), payload


class Codec(Generic[MessageT]):
    """Decodes the messages of one direction."""

    def __init__(self, kind: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[MessageT] = msgspec.msgpack.Decoder(kind)

    def decode(self, frames: list[bytes]) -> tuple[MessageT, bytes]:
        """Return the message and its payload.

        Raises MalformedMessage when the frames are not a message of this direction.
        """
        if len(frames) != 2:
            raise MalformedMessage(f"message has {len(frames)} frames, not 2")
        head, payload = frames
        if head[:1] != _VERSION:
            raise MalformedMessage(f"message version is {head[:1].hex() or 'absent'}, not 01")
        try:
            return self._decoder.decode(memoryview(head)[1:]), payload
        except (msgspec.DecodeError, RecursionError) as exc:
            raise MalformedMessage(f"undecodable {len(head)}-byte message: {exc}") from exc


jobs: Codec[Job] = Codec(Job)
results: Codec[Result] = Codec(Result)
status: Codec[Status] = Codec(Status)
control: Codec[Control] = Codec(Control)
requests: Codec[DispatchRequest] = Codec(DispatchRequest)
notices: Codec[Notice] = Codec(Notice)
