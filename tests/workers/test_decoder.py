"""The decoder program: what it makes of speech, of nonsense, and what it may not do."""

import io
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from encoded_speech import FILES, STREAMS, chunks, encode
from system_client import speech

from antiphon_proto.encoded_audio import (
    DECODED_RATE_HZ,
    HEADER,
    DecoderMessageKind,
    container_of,
)

RECORDING = Path(__file__).parents[1] / "data" / "speech" / "go_forward.wav"
BYTES_PER_S = 2 * DECODED_RATE_HZ


@contextmanager
def decoder(
    container: str, *flags: str, max_s: float = 60.0
) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-I", "-m", "antiphon_workers.decoder", container]
    command += ["--max-seconds", str(max_s), *flags]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def messages(output: bytes) -> Iterator[tuple[DecoderMessageKind, bytes]]:
    stream = io.BytesIO(output)
    while header := stream.read(HEADER.size):
        kind, length = HEADER.unpack(header)
        yield DecoderMessageKind(kind), stream.read(length)


def decode(
    encoded: bytes, container: str, *flags: str, max_s: float = 60.0
) -> tuple[bytes, str, int]:
    """Return the PCM, why it was refused, and the exit code."""
    with decoder(container, *flags, max_s=max_s) as process:
        output, _ = process.communicate(encoded, timeout=30)
        process.wait()
        found = list(messages(output))
    pcm = b"".join(body for kind, body in found if kind is DecoderMessageKind.AUDIO)
    refusals = [body.decode() for kind, body in found if kind is DecoderMessageKind.REFUSED]
    return pcm, "".join(refusals), process.returncode


def loudness(pcm: bytes) -> np.ndarray:
    """Return the level of each 20 ms."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    whole = len(samples) // 320 * 320
    return np.sqrt((samples[:whole].reshape(-1, 320) ** 2).mean(axis=1))


def assert_same_speech(pcm: bytes) -> None:
    """Codecs shift speech by up to 80 ms."""
    original, decoded = loudness(speech("go_forward")), loudness(pcm)
    assert abs(len(decoded) - len(original)) <= 5
    length = min(len(original), len(decoded)) - 4
    likeness = [
        np.corrcoef(original[:length], decoded[lag : lag + length])[0, 1] for lag in range(5)
    ]
    assert max(likeness) > 0.95


@pytest.mark.parametrize("mime_type", STREAMS)
def test_a_stream_is_decoded_as_it_comes(mime_type: str) -> None:
    encoded = encode(RECORDING, mime_type)
    pieces = list(chunks(encoded, 28))  # 100 ms each
    heard_s, pcm, body = [], bytearray(), b""
    with decoder(container_of(mime_type)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for piece in [b"", *pieces]:
            process.stdin.write(piece)
            process.stdin.flush()
            kind = DecoderMessageKind.AUDIO
            while kind == DecoderMessageKind.AUDIO:
                pcm += body
                kind, length = HEADER.unpack(process.stdout.read(HEADER.size))
                body = process.stdout.read(length)
            assert kind == DecoderMessageKind.CONSUMED
            body = b""
            heard_s.append(len(pcm) / BYTES_PER_S)
        process.stdin.close()
        for kind, body in messages(process.stdout.read()):
            if kind is DecoderMessageKind.AUDIO:
                pcm += body
        assert process.wait(10) == 0
    assert_same_speech(bytes(pcm))
    # Bytes and time do not go quite in step; what counts is that nothing waits for the next chunk.
    total_s = len(pcm) / BYTES_PER_S
    behind_s = [total_s * n / len(pieces) - heard for n, heard in enumerate(heard_s)]
    assert max(behind_s[3:]) < 0.3


@pytest.mark.parametrize("mime_type", FILES)
def test_a_file_is_decoded_wherever_its_index_is(mime_type: str) -> None:
    pcm, refusal, code = decode(encode(RECORDING, mime_type), container_of(mime_type), "--file")
    assert (refusal, code) == ("", 0)
    assert_same_speech(pcm)


@pytest.mark.parametrize("container", ["matroska", "mp4", "ogg", "mp3", "flac", "wav", "aac"])
def test_nonsense_is_refused(container: str) -> None:
    noise = np.random.default_rng(1).bytes(20_000)
    pcm, refusal, code = decode(noise, container)
    # In MP3 and AAC any bytes may look like a few frames of sound.
    assert code == 65 or container in ("mp3", "aac")
    assert refusal or len(pcm) < 20 * BYTES_PER_S


def test_what_is_too_long_is_refused() -> None:
    encoded = encode(RECORDING, "audio/webm;codecs=opus")
    pcm, refusal, code = decode(encoded, "matroska", max_s=1.0)
    assert (refusal, code) == ("it is longer than 1 s", 65)
    assert len(pcm) <= BYTES_PER_S


def test_few_bytes_that_become_much_audio_are_refused() -> None:
    bomb = io.BytesIO()
    with wave.open(bomb, "wb") as wav:
        wav.setparams((1, 2, 10, 0, "NONE", ""))  # ten samples a second
        wav.writeframes(bytes(20_000))
    pcm, refusal, code = decode(bomb.getvalue(), "wav", "--file", max_s=3_600)
    assert code == 65
    assert "at least 50 bytes a second are expected" in refusal
    assert len(pcm) / BYTES_PER_S <= 5 + len(bomb.getvalue()) / 50


def test_a_video_is_no_audio() -> None:
    _, refusal, code = decode(encode(RECORDING, "audio/wav"), "mp4", "--file")
    assert code == 65
    assert refusal.startswith("the audio could not be decoded")


CONFINED = """
import os, socket, sys
from antiphon_workers.decoder import confinement
confinement.STALLED_CPU_S = 1
confinement.confine()
def refused(act):
    try:
        act()
    except (OSError, MemoryError) as exc:
        return type(exc).__name__
    return "allowed"
acts = {
    "file": lambda: open("/etc/passwd"),
    "socket": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "heap": lambda: bytearray(400 * 1024 * 1024),
}
print({name: refused(act) for name, act in acts.items()}, os.geteuid(), flush=True)
while True:
    pass
"""


def test_a_decoder_opens_nothing_and_its_memory_and_time_are_bounded() -> None:
    command = [sys.executable, "-I", "-c", CONFINED]
    done = subprocess.run(command, capture_output=True, timeout=30, env={}, check=False)
    allowed = {
        "file": "OSError",
        "socket": "OSError",
        "pipe": "OSError",
        "heap": "MemoryError",
    }
    text, _, user = done.stdout.decode().strip().rpartition(" ")
    assert text == str(allowed)
    assert user != "0"
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
