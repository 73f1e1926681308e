"""The binary audio frame, byte by byte."""

import pytest

from antiphon_proto import frames
from antiphon_proto.errors import MalformedAudioFrame
from antiphon_proto.frames import AudioFrame, EncodedFrame, FrameKind, SilenceFrame

FRAME = AudioFrame(FrameKind.MICROPHONE, seq=7, timestamp=1_000_000, sample_rate_hz=48_000,
                   stream=0, pcm=b"\x01\x02")  # fmt: skip
BYTES = bytes.fromhex("01010100 07000000 40420f0000000000 80bb0000 00000000 0102")


def test_the_layout_is_fixed() -> None:
    assert FRAME.encode() == BYTES
    assert frames.decode(BYTES) == FRAME


def test_the_sequence_number_wraps() -> None:
    assert frames.decode(FRAME._replace(seq=2**32 + 1).encode()).seq == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"", "frame is 0 bytes"),
        (BYTES[:23], "frame is 23 bytes"),
        (b"\x02" + BYTES[1:], "version is 2"),
        (BYTES[:1] + b"\x09" + BYTES[2:], "kind is 9"),
        (BYTES[:2] + b"\x03" + BYTES[3:], "sample format is 3"),
        (BYTES[:16] + bytes(4) + BYTES[20:], "sample rate is 0 Hz"),
        (BYTES + b"\x00", "odd count"),
        (BYTES + bytes(frames.MAX_FRAME_BYTES), "the limit is 65536"),
    ],
)
def test_a_malformed_frame_is_refused_by_field(frame: bytes, message: str) -> None:
    with pytest.raises(MalformedAudioFrame, match=message):
        frames.decode(frame)


def test_a_microphone_sends_samples_compressed_audio_or_word_of_silence() -> None:
    encoded = EncodedFrame(seq=8, timestamp=2_000_000, content=b"webm")
    silence = SilenceFrame(seq=9, timestamp=3_000_000)
    assert len(silence.encode()) == 24
    for frame in (FRAME, encoded, silence):
        assert frames.decode_microphone(frame.encode()) == frame


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME._replace(kind=FrameKind.PLAYBACK).encode(), r"kind is 2 \(playback\)"),
        (SilenceFrame(1, 2).encode() + b"\0", "a frame of silence is 24 bytes, not 25"),
        (SilenceFrame(1, 2).encode()[:20], "frame is 20 bytes"),
        (b"\x02" + EncodedFrame(1, 2, b"").encode()[1:], "version is 2"),
        (BYTES[:1] + b"\x05" + BYTES[2:], "kind is 5"),
    ],
)
def test_what_no_microphone_sends_is_refused(frame: bytes, message: str) -> None:
    with pytest.raises(MalformedAudioFrame, match=message):
        frames.decode_microphone(frame)
