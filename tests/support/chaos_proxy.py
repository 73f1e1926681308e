"""A TCP proxy on loopback that makes the network bad, on demand and from a seed.

It adds latency and jitter, cuts what passes into small slices, holds everything back (a blackout)
and breaks connections. While one lives, no byte is lost, changed or reordered: that is TCP.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

_READ_BYTES = 16_384
_READS_IN_FLIGHT = 16
"""What one direction holds back; the proxy reads no more until some has left."""


@dataclass
class Weather:
    """How bad the network is; may be changed while connections pass."""

    latency_ms: float = 0.0
    """Added to each direction."""
    jitter_ms: float = 0.0
    """At most this much is added to or taken off the latency of a read, at random."""
    slice_bytes: int = 0
    """Largest piece passed on at once; 0: as it comes."""


class ChaosProxy:
    """Passes connections to `port` through; `async with chaos_proxy(port) as proxy`."""

    def __init__(
        self, port: int, weather: Weather | None = None, *, seed: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.host = host
        self.weather = weather or Weather()
        self.port = 0
        """Where it listens, on 127.0.0.1."""
        self.target_port = port
        """Where new connections go; a server that comes back elsewhere is named here."""
        self.accepted = 0
        """Connections so far."""
        self._random = random.Random(seed)
        self._clear = asyncio.Event()
        self._clear.set()
        self._refusing = False
        self._links: set[_Link] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def blackout(self, *, refuse: bool = False) -> None:
        """Let nothing pass either way until `light`; with `refuse`, reset new connections."""
        self._clear.clear()
        self._refusing = refuse

    def light(self) -> None:
        """End a blackout; what was held back passes now."""
        self._refusing = False
        self._clear.set()

    async def dark_for(self, seconds: float) -> None:
        """Let nothing pass for so long."""
        self.blackout()
        await asyncio.sleep(seconds)
        self.light()

    def reset(self) -> int:
        """Break every connection with RST, both ways, what is on its way lost; return how many."""
        for link in (broken := list(self._links)):
            link.abort()
        return len(broken)

    def forget_clients(self) -> int:
        """Break the clients' side alone: the server sees half-open connections; return how many."""
        for link in (broken := list(self._links)):
            link.abort_client()
        return len(broken)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self.accepted += 1
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        if self._refusing:
            _abort(writer)
            return
        try:
            target = await asyncio.open_connection(
                "127.0.0.1", self.target_port, local_addr=(self.host, 0)
            )
        except OSError:
            _abort(writer)
            return
        link = _Link(reader, writer, *target)
        if self._refusing:
            link.abort()
            return
        self._links.add(link)
        try:
            await link.run(self)
        finally:
            self._links.discard(link)
            link.abort()

    async def end(self) -> None:
        """Break every connection and wait until none is served any more."""
        self.light()
        self._refusing = True
        for _ in range(10):  # who was accepted just now begins to be served some turns later
            await asyncio.sleep(0)
        self.reset()
        while self._serving:
            await asyncio.wait(self._serving)

    def delay_s(self) -> float:
        """Draw the delay of one read."""
        jitter = self._random.uniform(-self.weather.jitter_ms, self.weather.jitter_ms)
        return max(0.0, self.weather.latency_ms + jitter) / 1000

    async def clear(self) -> None:
        """Wait for the end of a blackout."""
        await self._clear.wait()


class _Link:
    """A client's connection and the one to the server."""

    def __init__(
        self,
        client_reader: asyncio.StreamReader,
        client_writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self._client = (client_reader, client_writer)
        self._server = (server_reader, server_writer)
        self._half_open = False
        self._aborted = asyncio.Event()

    def abort(self) -> None:
        """Break both sides."""
        self._aborted.set()
        for _, writer in (self._client, self._server):
            _abort(writer)

    def abort_client(self) -> None:
        """Break the client's side; keep the server's open and silent."""
        self._half_open = True
        _abort(self._client[1])

    async def run(self, proxy: ChaosProxy) -> None:
        """Pass bytes both ways until one side ends."""
        (client, to_client), (server, to_server) = self._client, self._server
        ways = [
            asyncio.create_task(_pass(proxy, client, to_server), name="proxy-up"),
            asyncio.create_task(_pass(proxy, server, to_client), name="proxy-down"),
        ]
        aborted = asyncio.create_task(self._aborted.wait(), name="proxy-aborted")
        try:
            await asyncio.wait([*ways, aborted], return_when=asyncio.FIRST_COMPLETED)
            if self._half_open:
                await self._aborted.wait()
        finally:
            for task in (*ways, aborted):
                task.cancel()
            await asyncio.gather(*ways, aborted, return_exceptions=True)


async def _pass(
    proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pass one direction on, in order, each read delayed by its own draw."""
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_READS_IN_FLIGHT)
    with contextlib.suppress(ConnectionError):
        async with asyncio.TaskGroup() as group:
            group.create_task(_receive(proxy, reader, waiting), name="proxy-receive")
            while True:
                due_s, chunk = await waiting.get()
                await asyncio.sleep(due_s - asyncio.get_running_loop().time())
                await proxy.clear()
                if not chunk:
                    return
                step = proxy.weather.slice_bytes or len(chunk)
                for start in range(0, len(chunk), step):
                    writer.write(chunk[start : start + step])
                    await writer.drain()
                    await asyncio.sleep(0)


async def _receive(
    proxy: ChaosProxy,
    reader: asyncio.StreamReader,
    waiting: asyncio.Queue[tuple[float, bytes]],
) -> None:
    """Queue what arrives with the time it is due; nothing at its end or when it broke."""
    due_s, chunk = 0.0, b"?"
    while chunk:
        try:
            chunk = await reader.read(_READ_BYTES)
        except ConnectionError:
            chunk = b""
        due_s = max(due_s, asyncio.get_running_loop().time() + proxy.delay_s())
        await waiting.put((due_s, chunk))


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def chaos_proxy(
    port: int, weather: Weather | None = None, *, seed: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[ChaosProxy]:
    """Listen on a free port of 127.0.0.1 and pass to `port`.

    Another `host` of loopback has the same port, and whoever is passed to sees it as the sender.
    """
    proxy = ChaosProxy(port, weather, seed=seed, host=host)
    listen_port = 0 if host == "127.0.0.1" else port
    server = await asyncio.start_server(proxy.accept, host, listen_port)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield proxy
        finally:
            server.close()  # first: who is accepted while the others end would outlive them
            await proxy.end()
