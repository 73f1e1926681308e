"""Connections to a ZeroMQ endpoint that keep none of its rules, the same for the same seed.

`python zmtp_fuzz.py SEED COUNT ENDPOINT...` makes so many to each.
"""

import random
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_PAUSE_S = 0.02


def canary_pickle(canary: Path) -> bytes:
    """Return a pickle that makes a directory when it is loaded."""
    return f"cposix\nmkdir\n(V{canary}\ntR.".encode()


def attacks(seed: int, count: int, canary: Path) -> Iterator[list[bytes]]:
    """Yield what to send on each connection, in pieces."""
    rng = random.Random(seed)
    pickle = canary_pickle(canary)
    kinds = (
        lambda: [rng.randbytes(rng.randint(1, 200))],
        lambda: [_SIGNATURE[: rng.randint(1, 10)]],
        lambda: [_flipped(_greeting(rng), rng)],
        lambda: [_greeting(rng, b"NULL"), rng.randbytes(rng.randint(1, 500))],
        lambda: [_greeting(rng, b"CURVE"), _command(b"HELLO", rng.randbytes(194))],
        lambda: [_greeting(rng, b"PLAIN"), _command(b"HELLO", b"\x04user\x04pass")],
        lambda: [_greeting(rng, b"NULL"), _ready(rng), _frame(b"\x01" + pickle), _frame(b"")],
        lambda: [_greeting(rng, b"NULL"), _ready(rng), _frame(pickle, more=True), _frame(pickle)],
        lambda: [_greeting(rng, b"NULL"), _ready(rng), b"\x02" + struct.pack(">Q", 1 << 62)],
        lambda: [_greeting(rng, b"NULL"), _ready(rng), b"\x02" + struct.pack(">Q", 1 << 22)],
        lambda: [_greeting(rng, b"NULL"), _ready(rng), rng.randbytes(rng.randint(1, 2_000))],
    )
    for _ in range(count):
        yield rng.choice(kinds)()


def attack(endpoint: str, seed: int, count: int, canary: Path) -> int:
    """Make `count` such connections, one after the other. Return how many were accepted."""
    accepted = 0
    for pieces in attacks(seed, count, canary):
        with _socket(endpoint) as connection:
            accepted += 1
            _send(connection, pieces)
    return accepted


def _send(connection: socket.socket, pieces: Iterable[bytes]) -> None:
    connection.settimeout(_PAUSE_S)
    try:
        for piece in pieces:
            connection.sendall(piece)
            connection.recv(4_096)
    except OSError:
        return  # refused, or it waits for more: either is an answer


def _socket(endpoint: str) -> socket.socket:
    scheme, _, place = endpoint.partition("://")
    if scheme == "ipc":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(place)
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def _greeting(rng: random.Random, mechanism: bytes = b"NULL") -> bytes:
    version = bytes([rng.choice([3, 3, 3, 1, 9]), rng.choice([0, 1])])
    return (
        _SIGNATURE + version + mechanism.ljust(20, b"\0") + bytes([rng.randint(0, 1)]) + bytes(31)
    )


def _flipped(message: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(message))
    return message[:at] + bytes([message[at] ^ (1 << rng.randrange(8))]) + message[at + 1 :]


def _command(name: bytes, body: bytes) -> bytes:
    content = bytes([len(name)]) + name + body
    return bytes([4, len(content)]) + content


def _ready(rng: random.Random) -> bytes:
    kind = rng.choice([b"PUSH", b"SUB", b"DEALER", b"X" * 9])
    return _command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind)


def _frame(body: bytes, *, more: bool = False) -> bytes:
    return bytes([int(more), len(body) % 256]) + body


if __name__ == "__main__":
    for each in sys.argv[3:]:
        made = attack(each, int(sys.argv[1]), int(sys.argv[2]), Path("/nonexistent/canary"))
        sys.stdout.write(f"{each}: {made} connections\n")
