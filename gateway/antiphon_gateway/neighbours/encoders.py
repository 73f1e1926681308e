"""Encoder processes: one for each compressed answer, fed while the speech is made."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.util import find_spec

from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.speech_request import AudioFormat

PLAIN: tuple[AudioFormat, ...] = ("wav", "pcm")
_COMPRESSED: tuple[AudioFormat, ...] = ("mp3", "opus", "aac", "flac")
_CHUNK_BYTES = 16 * 1024


def formats() -> tuple[AudioFormat, ...]:
    """Return what can be sent, the default first."""
    return (*_COMPRESSED, *PLAIN) if find_spec("av") is not None else PLAIN


@contextlib.asynccontextmanager
async def encoding(
    audio: AsyncGenerator[bytes, None], wanted: AudioFormat
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Give PCM16 at 24 kHz in another format, as it comes.

    Iterating raises RequestRefused when `audio` does, or when the encoder fails.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "antiphon_workers.encoder", wanted),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
    )
    refused: list[RequestRefused] = []
    try:
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_feed(process, audio, refused), name="encoder-input")
            async with contextlib.aclosing(_encoded(process, refused)) as encoded:
                yield encoded
            feeding.cancel()
    except BaseExceptionGroup as group:
        raise _alone(group) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _alone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the exception that a group was made of, or the group when there are several."""
    [first, *others] = group.exceptions
    return group if others or isinstance(first, BaseExceptionGroup) else first


async def _feed(
    process: asyncio.subprocess.Process,
    audio: AsyncGenerator[bytes, None],
    refused: list[RequestRefused],
) -> None:
    assert process.stdin is not None
    try:
        async for pcm in audio:
            process.stdin.write(pcm)
            await process.stdin.drain()
    except RequestRefused as exc:
        refused.append(exc)
    except ConnectionError:
        pass  # the encoder has ended; its exit code says why
    finally:
        process.stdin.close()


async def _encoded(
    process: asyncio.subprocess.Process, refused: list[RequestRefused]
) -> AsyncGenerator[bytes, None]:
    assert process.stdout is not None
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        yield chunk
    if refused:
        raise refused[0]
    if await process.wait():
        raise RequestRefused(500, "the encoder failed", code="encoder_failed")
