"""Decoder processes: started one for each stream, watched, bounded in number.

Compressed audio is never decoded in the gateway: it comes from strangers and FFmpeg is large. What
a decoder may do is in `antiphon_workers.decoder`; the bytes between us are in
`antiphon_proto.encoded_audio`.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Literal

from antiphon_proto.encoded_audio import (
    CONSUMED,
    HEADER,
    MAX_BODY_BYTES,
    DecoderMessageKind,
    UnsupportedAudioType,
    container_of,
)
from antiphon_proto.errors import AntiphonError

MAX_STREAM_S = 86_400.0
_FILE_PATIENCE_S = 120.0

DecodingCode = Literal[
    "unsupported_audio_type", "decoders_busy", "invalid_encoded_audio", "decoder_failed"
]


class DecodingFailed(AntiphonError):
    """Raised when audio cannot be decoded; the text says why, for whoever sent it."""

    def __init__(self, code: DecodingCode, message: str) -> None:
        super().__init__(message)
        self.code: DecodingCode = code


class Decoder:
    """One running decoder process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self.written_bytes = 0
        self.consumed_bytes = 0
        """All audio of so many bytes was received."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes whose audio was not received yet."""
        return self.written_bytes - self.consumed_bytes

    def write(self, encoded: bytes) -> None:
        """Give it more of the stream. The caller keeps `waiting_bytes` low."""
        self.written_bytes += len(encoded)
        if not self._input.is_closing():
            self._input.write(encoded)

    def end(self) -> None:
        """The stream is complete."""
        self._input.close()

    async def receive(self) -> bytes | None:
        """Return PCM16 mono at 16 kHz, none of it when only `consumed_bytes` grew; None at the end.

        Raises DecodingFailed.
        """
        try:
            kind, length = HEADER.unpack(await self._output.readexactly(HEADER.size))
            if length > MAX_BODY_BYTES:
                raise DecodingFailed("decoder_failed", "the decoder broke its own rules")
            body = await self._output.readexactly(length)
        except asyncio.IncompleteReadError:
            await self._ended()
            return None
        if kind == DecoderMessageKind.AUDIO:
            return body
        if kind == DecoderMessageKind.CONSUMED and length == CONSUMED.size:
            (self.consumed_bytes,) = CONSUMED.unpack(body)
            return b""
        if kind == DecoderMessageKind.REFUSED:
            raise DecodingFailed("invalid_encoded_audio", body.decode(errors="replace"))
        raise DecodingFailed("decoder_failed", "the decoder broke its own rules")

    async def close(self) -> None:
        """Stop it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._input.close()
        await self._process.wait()

    async def _ended(self) -> None:
        code = await self._process.wait()
        if code:
            raise DecodingFailed(
                "decoder_failed",
                "the decoder was stopped: the audio is damaged, or takes too much time or memory",
            )


class Decoders:
    """Starts decoders, at most `most` at a time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.running = 0

    @contextlib.asynccontextmanager
    async def open(
        self, mime_type: str, max_s: float = MAX_STREAM_S, *, file: bool = False
    ) -> AsyncIterator[Decoder]:
        """Run a decoder for one stream of this type, at most `max_s` seconds of audio.

        `file`: all of it is read before the first sample, so that an index at its end is found.
        Raises DecodingFailed.
        """
        try:
            container = container_of(mime_type)
        except UnsupportedAudioType as exc:
            raise DecodingFailed("unsupported_audio_type", str(exc)) from exc
        if self.running >= self._most:
            raise DecodingFailed(
                "decoders_busy",
                f"{self._most} streams of compressed audio are being decoded "
                "(gateway.max_decoders); try again later",
            )
        self.running += 1
        try:
            decoder = Decoder(await _start(container, max_s, file=file))
            try:
                yield decoder
            finally:
                await decoder.close()
        finally:
            self.running -= 1

    async def decode(self, encoded: bytes, mime_type: str, max_s: float) -> bytes:
        """Return a whole file as PCM16 mono at 16 kHz.

        Raises DecodingFailed.
        """
        pcm = bytearray()
        try:
            async with asyncio.timeout(_FILE_PATIENCE_S):
                async with self.open(mime_type, max_s, file=True) as decoder:
                    decoder.write(encoded)
                    decoder.end()
                    while (part := await decoder.receive()) is not None:
                        pcm += part
        except TimeoutError as exc:
            raise DecodingFailed(
                "decoder_failed", f"the audio took more than {_FILE_PATIENCE_S:g} s to decode"
            ) from exc
        return bytes(pcm)


async def _start(container: str, max_s: float, *, file: bool) -> asyncio.subprocess.Process:
    """Start the program with nothing of ours: no environment, no directory, no open file."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "antiphon_workers.decoder",
        container,
        "--max-seconds",
        str(max_s),
        *(["--file"] if file else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
    )
