"""One session of the load: a WebSocket in bytes, as cheap as a client can be."""

import base64
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from antiphon_proto.errors import AntiphonError
from antiphon_proto.frames import AudioFrame, FrameKind

MIC_HZ = 16_000
FRAME_MS = 20
FRAME_SAMPLES = MIC_HZ * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES
ACK_EVERY_MESSAGES = 32
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class Message(NamedTuple):
    """What the server sent: audio, or an event by its beginning."""

    audio: bool
    head: bytes
    """The first bytes of an event, which hold its type; empty for audio."""


class Line:
    """A session's connection. Sending never waits: what does not fit counts as dropped."""

    def __init__(self, port: int, update: dict[str, object]) -> None:
        """Connect, shake hands, and change the session. Blocks."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.dropped = 0
        self.closed = False
        self._received = bytearray()
        self._unsent = b""
        self._seq = 0
        self._messages_received = 0
        self._shake_hands(port)
        self.send_event({"type": "session.update", "session": {"type": "realtime", **update}})
        self.socket.setblocking(False)

    def _shake_hands(self, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/realtime HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: antiphon.v1\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            if not (piece := self.socket.recv(4_096)):
                raise AntiphonError("the server closed the connection in the handshake")
            self._received += piece
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise AntiphonError(f"the server refused: {head.splitlines()[0].decode()}")
        self._received = bytearray(rest)

    def send_event(self, event: Mapping[str, object]) -> None:
        """Send an event."""
        self._send(_TEXT, json.dumps(event).encode())

    def send_audio(self, pcm: bytes, captured_us: int) -> None:
        """Send one frame of microphone audio."""
        self._seq += 1
        frame = AudioFrame(FrameKind.MICROPHONE, self._seq, captured_us, MIC_HZ, 0, pcm)
        self._send(_BINARY, frame.encode())

    def _send(self, opcode: int, payload: bytes) -> None:
        # A mask of 0 leaves the payload as it is, which saves the client the work.
        size = len(payload)
        form = "!BB4s" if size < 126 else "!BBH4s"
        lengths = (0x80 | size,) if size < 126 else (0x80 | 126, size)
        message = struct.pack(form, 0x80 | opcode, *lengths, bytes(4)) + payload
        if self._unsent:
            self.flush()
        if self._unsent or self.closed:
            self.dropped += 1
            return
        self._unsent = message
        self.flush()

    def flush(self) -> None:
        """Send what is left of the last message."""
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.closed = True

    def receive(self) -> Iterator[Message]:
        """Yield the messages that have arrived whole."""
        try:
            if not (piece := self.socket.recv(262_144)):
                self.closed = True
            self._received += piece
        except BlockingIOError:
            return
        except OSError:
            self.closed = True
        yield from self._messages()

    def _acknowledge_now_and_then(self) -> None:
        """As the page does."""
        self._messages_received += 1
        if self._messages_received % ACK_EVERY_MESSAGES == 0:
            self.send_event({"type": "antiphon.ack", "seq": self._messages_received})

    def _messages(self) -> Iterator[Message]:
        at, data = 0, self._received
        while len(data) - at >= 2:
            opcode, size, start = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(data) < start + width:
                    break
                size = int.from_bytes(data[start : start + width], "big")
                start += width
            if len(data) < start + size:
                break
            at = start + size
            if opcode in (_TEXT, _BINARY):
                self._acknowledge_now_and_then()
            if opcode == _BINARY:
                yield Message(True, b"")
            elif opcode == _TEXT:
                yield Message(False, bytes(data[start : start + min(size, 100)]))
            elif opcode == _PING:
                self._send(_PONG, bytes(data[start:at]))
            elif opcode == _CLOSE:
                self.closed = True
        del data[:at]
