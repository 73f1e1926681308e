"""The server's end of a client's session, for tests that say what the server does."""

import json
from typing import Any

from aiohttp import WSMsgType, web

from antiphon_proto import frames
from antiphon_proto.frames import AudioFrame, FrameKind

SESSION = {"type": "session.created", "session": {"id": "sess_1"}}


class Peer:
    """The server's end of one session."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self._request = request
        self.frames: list[AudioFrame] = []
        self.events: list[dict[str, Any]] = []

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": type_, **fields}))

    async def play(self, pcm: bytes, *, stream: int = 1, first_sample: int = 0) -> None:
        frame = AudioFrame(FrameKind.PLAYBACK, 0, first_sample, 16_000, stream, pcm)
        await self.socket.send_bytes(frame.encode())

    async def receive(self) -> AudioFrame | dict[str, Any]:
        """Return the client's next frame or event; raises EOFError when it has left."""
        message = await self.socket.receive()
        if message.type is WSMsgType.BINARY:
            self.frames.append(frames.decode(message.data))
            return self.frames[-1]
        if message.type is WSMsgType.TEXT:
            self.events.append(json.loads(message.data))
            return self.events[-1]
        raise EOFError

    async def receive_event(self, type_: str) -> dict[str, Any]:
        """Return the client's next event of a type."""
        while True:
            message = await self.receive()
            if isinstance(message, dict) and message["type"] == type_:
                return message

    async def receive_speech(self) -> None:
        """Receive a recording and the first silence after it."""
        spoken = False
        while True:
            message = await self.receive()
            if isinstance(message, AudioFrame):
                silent = not any(message.pcm)
                if spoken and silent:
                    return
                spoken = spoken or not silent

    def abort(self) -> None:
        """Break the connection without a word."""
        assert self._request.transport
        self._request.transport.abort()

    async def until_left(self) -> None:
        """Receive until the client has left."""
        try:
            while True:
                await self.receive()
        except EOFError:
            pass

    async def understand(self, transcript: str, *, item_id: str = "item_1") -> None:
        """Send what a spoken question causes up to its transcript."""
        await self.send("input_audio_buffer.speech_started", item_id=item_id)
        await self.send("input_audio_buffer.speech_stopped", item_id=item_id)
        await self.send("input_audio_buffer.committed", item_id=item_id)
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            transcript=transcript,
        )

    async def begin(self, *, number: int = 1) -> dict[str, str]:
        """Begin a response; return the ids for its events."""
        ids = {"response_id": f"resp_{number}", "item_id": f"reply_{number}"}
        await self.send("response.created", response={"id": ids["response_id"]})
        return ids

    async def speak(self, text: str, pcm: bytes, *, number: int = 1) -> dict[str, str]:
        """Begin a spoken response and send its text and audio; return its ids."""
        ids = await self.begin(number=number)
        await self.send("response.output_audio_transcript.delta", delta=text, **ids)
        await self.send("antiphon.audio.started", stream=number, sample_rate_hz=16_000, **ids)
        await self.play(pcm, stream=number)
        return ids

    async def done(self, response_id: str, status: str = "completed", **details: Any) -> None:
        response = {"id": response_id, "status": status, "status_details": details or None}
        await self.send("response.done", response=response)
