"""What stands around Moonshine: the words of its tokens, and long audio in pieces. Pure."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from antiphon_proto.audio import Samples

LONGEST_S = 20.0
"""The encoder compares every moment with every other, and was taught with short clips."""
_CUT_WITHIN_S = 5.0
"""A piece ends at the quietest moment of its last seconds."""
_QUIET_S = 0.1
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_SPECIAL = re.compile(rb"<(unk|s|/s|<ST_\d+>)>")


def read_tokens(file: bytes) -> list[bytes]:
    """Return the tokens in the order of their ids, from byte strings each behind its length.

    A length from 128 on takes two bytes. Raises ValueError when the last one is cut off.
    """
    tokens: list[bytes] = []
    place = 0
    while place < len(file):
        length = file[place]
        place += 1
        if length >= 128:
            if place == len(file):
                raise ValueError("the file of tokens ends in a length")
            length = file[place] * 128 + length - 128
            place += 1
        if place + length > len(file):
            raise ValueError("the file of tokens ends in a token")
        tokens.append(file[place : place + length])
        place += length
    return tokens


def text_of(tokens: Sequence[bytes], ids: Sequence[int]) -> str:
    """Return the text of a list of ids; marks of the model's own are left out."""
    known = (tokens[each] for each in ids if each < len(tokens))
    joined = b"".join(token for token in known if not _SPECIAL.fullmatch(token))
    return joined.decode(errors="replace").replace(_SPACE, " ").strip()


def pieces(audio: Samples, rate_hz: int) -> Iterator[Samples]:
    """Yield `[samples] float32` in pieces of at most `LONGEST_S`, cut where it is quietest."""
    longest, within = int(LONGEST_S * rate_hz), int(_CUT_WITHIN_S * rate_hz)
    window = int(_QUIET_S * rate_hz)
    while len(audio) > longest:
        tail = audio[longest - within : longest]
        frames = tail[: len(tail) // window * window].reshape(-1, window)
        quietest = int(np.square(frames).sum(axis=1).argmin())
        end = longest - within + quietest * window + window // 2
        yield audio[:end]
        audio = audio[end:]
    yield audio
