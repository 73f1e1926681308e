"""Cases of RFC 6455: what each must lead to. A suite of our own; see the README."""

import struct
from typing import NamedTuple

from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSession, frame, header

HELLO = b'{"type":"session.update","session":{"type":"realtime"}}'


class Case(NamedTuple):
    """Bytes, and what the server must do: a close code, or `answer` (it goes on), or `pong`."""

    name: str
    sent: bytes
    expected: int | str


def cases() -> list[Case]:
    """Return all cases."""
    return [*_pings(), *_reserved(), *_fragments(), *_utf8(), *_closes(), *_sizes()]


def _pings() -> list[Case]:
    found = [Case(f"ping of {n} bytes", frame(PING, bytes(n)), "pong") for n in (0, 1, 64, 125)]
    found.append(Case("ping of 126 bytes", frame(PING, bytes(126)), 1002))
    found.append(Case("fragmented ping", frame(PING, b"x", final=False), 1002))
    found.append(Case("unasked pong", frame(PONG, b"x") + frame(TEXT, HELLO), "answer"))
    found.append(Case("ten pings", frame(PING, b"x") * 10, "pong"))
    return found


def _reserved() -> list[Case]:
    found = [
        Case(f"reserved bits {bits:03b}", frame(TEXT, HELLO, reserved=bits), 1002)
        for bits in range(1, 8)
    ]
    return found + [
        Case(f"reserved opcode {code}", frame(code, b"x"), 1002)
        for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ]


def _fragments() -> list[Case]:
    first, last = HELLO[:20], HELLO[20:]
    split = frame(TEXT, first, final=False), frame(CONTINUATION, last)
    bytewise = [frame(CONTINUATION, HELLO[i : i + 1], final=False) for i in range(1, len(HELLO))]
    return [
        Case("two fragments", b"".join(split), "answer"),
        Case("a ping between fragments", split[0] + frame(PING, b"x") + split[1], "pong"),
        Case(
            "a byte a fragment",
            frame(TEXT, HELLO[:1], final=False) + b"".join(bytewise) + frame(CONTINUATION),
            "answer",
        ),
        Case(
            "an empty first fragment",
            frame(TEXT, final=False) + frame(CONTINUATION, HELLO),
            "answer",
        ),
        Case("a continuation of nothing", frame(CONTINUATION, b"x"), 1002),
        Case("an unfinished continuation of nothing", frame(CONTINUATION, b"x", final=False), 1002),
        Case("text inside a fragmented text", split[0] + frame(TEXT, HELLO), 1002),
        Case("binary inside a fragmented text", split[0] + frame(BINARY, b"x"), 1002),
    ]


def _utf8() -> list[Case]:
    wrong = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xbd", b"a\x80b")
    found = [Case(f"not UTF-8: {w.hex()}", frame(TEXT, w), 1007) for w in wrong]
    split = frame(TEXT, b'{"type":"\xe4\xbd', final=False) + frame(CONTINUATION, b'\xa0"}')
    return [*found, Case("a character over two fragments", split, "answer")]


def _closes() -> list[Case]:
    found = [Case("close without a code", frame(CLOSE), "closed")]
    good = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    found += [
        Case(f"close {code}", frame(CLOSE, struct.pack("!H", code)), "closed") for code in good
    ]
    wrong = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    found += [Case(f"close {code}", frame(CLOSE, struct.pack("!H", code)), 1002) for code in wrong]
    found.append(Case("close of one byte", frame(CLOSE, b"x"), 1002))
    found.append(Case("close with a bad reason", frame(CLOSE, b"\x03\xe8\xff"), 1007))
    found.append(Case("close of 126 bytes", frame(CLOSE, bytes(126)), 1002))
    return found


def _sizes() -> list[Case]:
    sizes = (2**63 - 1, 2**63, 2**64 - 1, 17 * 1024 * 1024)
    found = [Case(f"{size} bytes announced", header(0x81, size), 1009) for size in sizes]
    padded = b" " * 70_000 + HELLO
    return [*found, Case("70,055 bytes", frame(TEXT, padded), "answer")]


async def outcome(session: RawSession, case: Case) -> int | str:
    """Send a case and return what the server did."""
    await session.send(case.sent)
    if case.expected == "pong":
        await session.until(PONG)
        return "pong"
    if case.expected == "answer":
        while True:
            got = await session.until(TEXT)
            if b"session.created" not in got.payload:
                return "answer"
    code = await session.close_code()
    return "closed" if case.expected == "closed" else code
