"""The encoder program: PCM16 mono at 24 kHz on standard input, a compressed stream on the output.

Started by the gateway, one for each answer: FFmpeg stays out of its process. Only file that encodes
with FFmpeg's libraries (package `av`).
"""

import argparse
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np

SAMPLE_RATE_HZ = 24_000
_BLOCK_BYTES = 4_800
_STDIN, _STDOUT = 0, 1


class Format(NamedTuple):
    """How FFmpeg calls a format."""

    container: str
    codec: str
    bit_rate: int
    options: dict[str, str]


FORMATS = {
    # Without the headers that are written at the end: nothing of a stream can be written again.
    "mp3": Format("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": Format("ogg", "libopus", 32_000, {"page_duration": "100000"}),
    "aac": Format("adts", "aac", 64_000, {}),
    "flac": Format("flac", "flac", 0, {}),
}


class _Output:
    """Standard output, written at once; it has no `seek`, so FFmpeg does not try."""

    def write(self, encoded: bytes) -> int:
        """Write all of it."""
        rest = memoryview(encoded)
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]
        return len(encoded)


def encode(blocks: Iterator[bytes], name: str, output: object) -> None:
    """Write PCM16 mono at `SAMPLE_RATE_HZ` in one of `FORMATS`."""
    wanted = FORMATS[name]
    options = {"flush_packets": "1", **wanted.options}
    with av.open(output, "w", format=wanted.container, options=options) as container:
        stream = container.add_stream(wanted.codec, rate=SAMPLE_RATE_HZ)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        if wanted.bit_rate:
            stream.bit_rate = wanted.bit_rate
        for pcm in blocks:
            samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _blocks() -> Iterator[bytes]:
    """Yield standard input in whole samples."""
    held = b""
    while chunk := os.read(_STDIN, _BLOCK_BYTES):
        held += chunk
        whole = len(held) // 2 * 2
        if whole:
            yield held[:whole]
        held = held[whole:]


def main() -> int:
    """Encode standard input until its end."""
    parser = argparse.ArgumentParser(prog="python -m antiphon_workers.encoder")
    parser.add_argument("format", choices=sorted(FORMATS))
    encode(_blocks(), parser.parse_args().format, _Output())
    return 0


if __name__ == "__main__":
    sys.exit(main())
