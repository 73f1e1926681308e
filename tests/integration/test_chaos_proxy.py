"""The proxy that makes the network bad: bytes keep their order, breaks are breaks."""

import asyncio
import contextlib
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator

import pytest
from chaos_proxy import ChaosProxy, Weather, chaos_proxy

SENT = bytes(range(256)) * 400


@contextlib.asynccontextmanager
async def echo_behind(weather: Weather) -> AsyncIterator[ChaosProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(4_096):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, chaos_proxy(server.sockets[0].getsockname()[1], weather, seed=7) as proxy:
        yield proxy


async def connect(proxy: ChaosProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def test_bad_weather_keeps_the_bytes_and_their_order() -> None:
    weather = Weather(latency_ms=5, jitter_ms=5, slice_bytes=640)
    async with echo_behind(weather) as proxy:
        reader, writer = await connect(proxy)
        writer.write(SENT)
        assert await reader.readexactly(len(SENT)) == SENT
        writer.close()


async def test_nothing_passes_in_a_blackout_and_all_of_it_afterwards() -> None:
    async with echo_behind(Weather()) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        proxy.blackout()
        writer.write(b"during")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        proxy.light()
        assert await reader.readexactly(6) == b"during"
        writer.close()


async def test_a_reset_breaks_the_connection_and_a_new_one_passes() -> None:
    async with echo_behind(Weather()) as proxy:
        reader, writer = await connect(proxy)
        writer.write(b"x")
        await reader.readexactly(1)
        assert proxy.reset() == 1
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        reader, writer = await connect(proxy)
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        assert proxy.accepted == 2
        writer.close()


async def test_at_its_end_it_leaves_no_connection_that_came_just_then() -> None:
    async with echo_behind(Weather()) as proxy:
        coming = [asyncio.create_task(connect(proxy)) for _ in range(20)]
        await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
    served = proxy.accepted
    for connected in await asyncio.gather(*coming, return_exceptions=True):
        if not isinstance(connected, OSError):
            reader, writer = connected
            with contextlib.suppress(ConnectionError):
                assert not await asyncio.wait_for(reader.read(1), 5)
            writer.close()
    assert proxy.accepted == served


async def test_who_connects_again_while_it_ends_leaves_no_connection_either() -> None:
    ended = threading.Event()

    def connect_again_and_again(port: int) -> None:
        while not ended.is_set():
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), 1) as line,
            ):
                line.recv(1)

    for _ in range(10):
        ended.clear()
        async with asyncio.TaskGroup() as group:
            async with echo_behind(Weather()) as proxy:
                for _ in range(4):
                    group.create_task(asyncio.to_thread(connect_again_and_again, proxy.port))
                await asyncio.sleep(0.02)
            ended.set()
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            gc.collect()
