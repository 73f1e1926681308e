"""Server-sent events: the answer of a streamed request, one JSON object an event."""

import msgspec
from aiohttp import web

from antiphon_gateway.neighbours.refusals import RequestRefused


class EventStream:
    """A response that is written event by event; a write waits for a client that reads slowly."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    @classmethod
    async def open(cls, request: web.Request) -> "EventStream":
        """Send the headers."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        return cls(response)

    async def send(self, event: object) -> None:
        """Send one event."""
        await self.response.write(b"data: " + msgspec.json.encode(event) + b"\n\n")

    async def fail(self, refused: RequestRefused) -> web.StreamResponse:
        """Tell what went wrong; the status 200 has already been sent."""
        await self.send({"type": "error", **refused.body()})
        return self.response

    async def end(self) -> web.StreamResponse:
        """Send the mark after the last event of a chat."""
        await self.response.write(b"data: [DONE]\n\n")
        return self.response
