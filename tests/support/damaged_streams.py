"""Compressed speech with something wrong in every packet."""

import random
from collections.abc import Iterator
from pathlib import Path

from encoded_speech import STREAMS, chunks, encode

PACKETS = 25
"""In one stream."""


def damaged(rng: random.Random, packet: bytes) -> bytes:
    """Return the packet with one thing wrong."""
    content = bytearray(packet)
    at = rng.randrange(len(content))
    kind = rng.randrange(6)
    if kind == 0:
        content[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        for _ in range(rng.randrange(1, 20)):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        del content[at : at + rng.randrange(1, 40)]
    elif kind == 3:
        content[at:at] = rng.randbytes(rng.randrange(1, 40))
    elif kind == 4:
        # Sizes and counts in containers: large numbers where small ones stood.
        content[at : at + 4] = b"\xff\xff\xff\xff"
    else:
        content += content[at:]
    return bytes(content)


def damaged_streams(recording: Path, count: int, seed: int) -> Iterator[tuple[str, list[bytes]]]:
    """Yield streams of `PACKETS` packets with their MIME type.

    Half of them begin as they should, so that the damage gets past the header.
    """
    rng = random.Random(seed)
    whole = {
        mime_type: list(chunks(encode(recording, mime_type), PACKETS))[:PACKETS]
        for mime_type in STREAMS
    }
    for number in range(count):
        mime_type = rng.choice(list(whole))
        intact = 2 if number % 2 else 0
        packets = whole[mime_type]
        yield (
            mime_type,
            [*packets[:intact], *(damaged(rng, packet) for packet in packets[intact:])],
        )
