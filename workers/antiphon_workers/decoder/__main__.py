"""The decoder program: one stream on standard input, messages of `encoded_audio` on the output."""

import argparse
import io
import os
import sys
from typing import BinaryIO

from antiphon_proto.encoded_audio import (
    CONSUMED,
    CONTAINERS,
    DECODED_RATE_HZ,
    MAX_BODY_BYTES,
    DecoderMessage,
    DecoderMessageKind,
)
from antiphon_workers.decoder import confinement

EXIT_REFUSED = 65
EXIT_UNAVAILABLE = 69
MAX_FILE_BYTES = 100 * 1024 * 1024

_STDIN, _STDOUT = 0, 1


class Output:
    """Writes the messages."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def audio(self, pcm: bytes) -> None:
        """Write decoded audio."""
        for start in range(0, len(pcm), MAX_BODY_BYTES):
            self._put(DecoderMessageKind.AUDIO, pcm[start : start + MAX_BODY_BYTES])

    def consumed(self, count: int) -> None:
        """Say that all audio of the first `count` bytes was written."""
        self._put(DecoderMessageKind.CONSUMED, CONSUMED.pack(count))

    def refused(self, reason: str) -> None:
        """Say why nothing more is decoded."""
        self._put(DecoderMessageKind.REFUSED, reason.encode())

    def _put(self, kind: DecoderMessageKind, body: bytes) -> None:
        self._stream.write(DecoderMessage(kind, body).encode())
        self._stream.flush()


class LiveInput:
    """Standard input as it comes. Once it is opened, asking for more means that all before was
    decoded.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.bytes_read = 0
        self.opened = False

    def read(self, most: int) -> bytes:
        """Return what is there, at most so many bytes; wait for the first."""
        self._output.consumed(self.bytes_read if self.opened else 0)
        chunk = os.read(_STDIN, most)
        self.bytes_read += len(chunk)
        return chunk


class FileInput(io.BytesIO):
    """A whole file; it can be read in any order."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.bytes_read = len(content)
        self.opened = False


def main() -> int:
    """Decode standard input. Returns 0 at its end, 65 when it was refused."""
    arguments = _parser().parse_args()
    output = Output(sys.stdout.buffer)
    try:
        from antiphon_workers.decoder import decoding
    except ImportError as exc:
        output.refused(
            f"this installation decodes no compressed audio: {exc}; install antiphon[embedded]"
        )
        return EXIT_UNAVAILABLE
    decoding.rehearse()
    confinement.confine()
    try:
        source = _whole_file() if arguments.file else LiveInput(output)
        heard_s = granted_s = 0.0
        for pcm in decoding.decode(source, arguments.container, arguments.max_seconds):
            output.audio(pcm)
            heard_s += len(pcm) / 2 / DECODED_RATE_HZ
            if heard_s - granted_s > 1.0:
                granted_s = heard_s
                confinement.grant_cpu_time()
    except decoding.Refused as refusal:
        output.refused(str(refusal))
        return EXIT_REFUSED
    except BrokenPipeError:
        pass  # nobody listens any more
    return 0


def _whole_file() -> FileInput:
    content = sys.stdin.buffer.read(MAX_FILE_BYTES)
    return FileInput(content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m antiphon_workers.decoder",
        description="Decode one stream of compressed audio; started by the gateway.",
    )
    parser.add_argument("container", choices=sorted(set(CONTAINERS.values())))
    parser.add_argument("--max-seconds", type=float, required=True, help="refuse what is longer")
    parser.add_argument("--file", action="store_true", help="read all of it first")
    return parser


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stdout.close()
    os._exit(code)
