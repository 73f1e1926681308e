"""The binary audio frame of the `antiphon.v1` subprotocol: 24 bytes of header, then samples.

    offset  size  field
    0       u8    version, 1
    1       u8    kind: 1 microphone audio, 2 playback audio, 3 compressed microphone audio,
                  4 silence of the microphone
    2       u8    sample format: 1 PCM16 little-endian mono, 0 with kinds 3 and 4
    3       u8    reserved, 0
    4       u32   sequence number, +1 per frame of the same kind, wraps at 2^32
    8       u64   timestamp: capture time in microseconds of the client's monotonic clock
                  (microphone), or index of the first sample within its stream (playback)
    16      u32   sample rate in hertz; 0 with kinds 3 and 4
    20      u32   stream: 0 (microphone) or the number from `antiphon.audio.started` (playback)

All integers are little-endian. What follows the header of kind 3 is the next piece of a stream
whose type the client has announced, cut anywhere. Kind 4 has nothing after the header: until the
timestamp nothing was heard, and no audio of it will come.
"""

import enum
import struct
from typing import NamedTuple

from antiphon_proto.errors import MalformedAudioFrame

FRAME_VERSION = 1
MAX_FRAME_BYTES = 64 * 1024
MIN_SAMPLE_RATE_HZ = 8_000
MAX_SAMPLE_RATE_HZ = 192_000

_HEADER = struct.Struct("<BBBBIQII")
MAX_PCM_BYTES = (MAX_FRAME_BYTES - _HEADER.size) // 2 * 2
"""Samples that fit into one frame, in bytes."""
_PCM16 = 1


class FrameKind(enum.IntEnum):
    """Which way the audio flows."""

    MICROPHONE = 1
    PLAYBACK = 2
    ENCODED = 3
    SILENCE = 4


class AudioFrame(NamedTuple):
    """One chunk of audio on the WebSocket."""

    kind: FrameKind
    seq: int
    timestamp: int
    sample_rate_hz: int
    stream: int
    pcm: bytes

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        header = _HEADER.pack(
            FRAME_VERSION,
            self.kind,
            _PCM16,
            0,
            self.seq & 0xFFFFFFFF,
            self.timestamp,
            self.sample_rate_hz,
            self.stream,
        )
        return header + self.pcm


class EncodedFrame(NamedTuple):
    """One chunk of compressed microphone audio on the WebSocket."""

    seq: int
    timestamp: int
    content: bytes

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        seq = self.seq & 0xFFFFFFFF
        header = _HEADER.pack(FRAME_VERSION, FrameKind.ENCODED, 0, 0, seq, self.timestamp, 0, 0)
        return header + self.content


class SilenceFrame(NamedTuple):
    """Nothing was heard until `timestamp`, in microseconds of the client's clock."""

    seq: int
    timestamp: int

    def encode(self) -> bytes:
        """Return the frame's bytes."""
        seq = self.seq & 0xFFFFFFFF
        return _HEADER.pack(FRAME_VERSION, FrameKind.SILENCE, 0, 0, seq, self.timestamp, 0, 0)


MicrophoneFrame = AudioFrame | EncodedFrame | SilenceFrame

_AUDIO_KINDS = {int(kind): kind for kind in (FrameKind.MICROPHONE, FrameKind.PLAYBACK)}


def decode_microphone(frame: bytes) -> MicrophoneFrame:
    """Return what a client's binary message says of its microphone.

    Raises MalformedAudioFrame naming the field and its limit.
    """
    header = _header(frame)
    _, kind, _, _, seq, timestamp, _, _ = header
    if kind == FrameKind.ENCODED:
        return EncodedFrame(seq, timestamp, frame[_HEADER.size :])
    if kind == FrameKind.SILENCE:
        if len(frame) > _HEADER.size:
            raise MalformedAudioFrame(
                f"a frame of silence is {_HEADER.size} bytes, not {len(frame)}"
            )
        return SilenceFrame(seq, timestamp)
    if kind == FrameKind.PLAYBACK:
        raise MalformedAudioFrame("kind is 2 (playback), a client sends 1, 3 or 4")
    return _audio(header, frame)


def decode(frame: bytes) -> AudioFrame:
    """Return the audio frame in `frame`, of kind 1 or 2.

    Raises MalformedAudioFrame naming the field and its limit.
    """
    return _audio(_header(frame), frame)


def _header(frame: bytes) -> tuple[int, ...]:
    size = len(frame)
    if size < _HEADER.size:
        raise MalformedAudioFrame(f"frame is {size} bytes, the header alone is {_HEADER.size}")
    if size > MAX_FRAME_BYTES:
        raise MalformedAudioFrame(f"frame is {size} bytes, the limit is {MAX_FRAME_BYTES}")
    header = _HEADER.unpack_from(frame)
    if header[0] != FRAME_VERSION:
        raise MalformedAudioFrame(f"version is {header[0]}, not {FRAME_VERSION}")
    return header


def _audio(header: tuple[int, ...], frame: bytes) -> AudioFrame:
    _, number, sample_format, _, seq, timestamp, rate, stream = header
    if (kind := _AUDIO_KINDS.get(number)) is None:
        raise MalformedAudioFrame(f"kind is {number}, not 1 or 2")
    if sample_format != _PCM16:
        raise MalformedAudioFrame(f"sample format is {sample_format}, not {_PCM16} (PCM16)")
    if not MIN_SAMPLE_RATE_HZ <= rate <= MAX_SAMPLE_RATE_HZ:
        raise MalformedAudioFrame(
            f"sample rate is {rate} Hz, outside {MIN_SAMPLE_RATE_HZ}..{MAX_SAMPLE_RATE_HZ}"
        )
    if len(frame) % 2:
        raise MalformedAudioFrame(
            f"PCM16 payload is {len(frame) - _HEADER.size} bytes, an odd count"
        )
    return AudioFrame(kind, seq, timestamp, rate, stream, frame[_HEADER.size :])
