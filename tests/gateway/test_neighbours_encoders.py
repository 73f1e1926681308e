"""Encoder processes: what is raised while they run, and that none is left."""

import io
from collections.abc import AsyncGenerator

import av
import pytest

from antiphon_gateway.neighbours.encoders import encoding, formats
from antiphon_gateway.neighbours.refusals import RequestRefused

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("mp3" not in formats(), reason="the extra embedded is not installed"),
]


async def second() -> AsyncGenerator[bytes, None]:
    for _ in range(10):
        yield bytes(4_800)


async def refused() -> AsyncGenerator[bytes, None]:
    yield bytes(4_800)
    raise RequestRefused(503, "too late", code="deadline_exceeded")


async def encoded(audio: AsyncGenerator[bytes, None], taken: bytearray) -> None:
    """Encode audio, and keep what comes."""
    async with encoding(audio, "flac") as chunks:
        async for chunk in chunks:
            taken += chunk


async def left_early() -> None:
    """Read the beginning, as for a client that has gone then."""
    async with encoding(second(), "mp3") as chunks:
        await anext(chunks)
        raise ConnectionResetError


async def test_all_of_the_audio_is_encoded() -> None:
    whole = bytearray()
    await encoded(second(), whole)
    with av.open(io.BytesIO(whole)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 24_000


async def test_a_refusal_is_raised_as_itself_behind_what_was_encoded() -> None:
    taken = bytearray()
    with pytest.raises(RequestRefused, match="too late"):
        await encoded(refused(), taken)
    assert taken


async def test_what_the_reader_raises_ends_the_encoder() -> None:
    with pytest.raises(ConnectionResetError):
        await left_early()
