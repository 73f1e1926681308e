"""G.711: the codes of the standard, and how far off a sample may be."""

from collections.abc import Callable

import numpy as np
import pytest

from antiphon_gateway.realtime import g711
from antiphon_gateway.realtime.audio_formats import AudioFormat, Pcm, Pcma, Pcmu

CODES = bytes(range(256))
Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]
ULAW: Codec = (g711.ulaw_to_pcm16, g711.pcm16_to_ulaw)
ALAW: Codec = (g711.alaw_to_pcm16, g711.pcm16_to_alaw)


@pytest.mark.parametrize(
    ("decode", "code", "sample"),
    [
        (g711.ulaw_to_pcm16, 0xFF, 0),
        (g711.ulaw_to_pcm16, 0x7F, 0),
        (g711.ulaw_to_pcm16, 0x80, 32_124),
        (g711.ulaw_to_pcm16, 0x00, -32_124),
        (g711.ulaw_to_pcm16, 0xFE, 8),
        (g711.ulaw_to_pcm16, 0xEF, 132),
        (g711.alaw_to_pcm16, 0xD5, 8),
        (g711.alaw_to_pcm16, 0x55, -8),
        (g711.alaw_to_pcm16, 0xAA, 32_256),
        (g711.alaw_to_pcm16, 0x2A, -32_256),
        (g711.alaw_to_pcm16, 0xC5, 264),
    ],
)
def test_codes_have_the_values_of_the_standard(
    decode: Callable[[bytes], bytes], code: int, sample: int
) -> None:
    assert decode(bytes([code])) == sample.to_bytes(2, "little", signed=True)


@pytest.mark.parametrize("codec", [ULAW, ALAW])
def test_every_code_survives_the_way_there_and_back(codec: Codec) -> None:
    decode, encode = codec
    again = encode(decode(CODES))
    assert decode(again) == decode(CODES)
    # Of mu-law's two zeros, only the positive one is sent.
    assert [code for code in CODES if again[code] != code] in ([], [0x7F])


@pytest.mark.parametrize("codec", [ULAW, ALAW])
def test_every_sample_is_off_by_half_a_step_at_most(codec: Codec) -> None:
    decode, encode = codec
    samples = np.arange(-32_768, 32_768)
    heard = np.frombuffer(decode(encode(samples.astype("<i2").tobytes())), dtype="<i2")
    # Steps are 16 near zero and at most a sixteenth of the sample beyond.
    assert np.all(np.abs(heard - samples) <= 8 + np.abs(samples) / 32)
    assert np.all(np.diff(heard.astype(np.int32)) >= 0)


@pytest.mark.parametrize(
    ("audio_format", "rate", "sample_bytes"),
    [(Pcm(), 24_000, 2), (Pcmu(), 8_000, 1), (Pcma(), 8_000, 1)],
)
def test_formats_turn_their_bytes_into_pcm16_and_back(
    audio_format: AudioFormat, rate: int, sample_bytes: int
) -> None:
    pcm = np.array([0, 1_000, -1_000, 32_767], dtype="<i2").tobytes()
    data = audio_format.from_pcm16(pcm)
    assert audio_format.sample_rate_hz == rate
    assert len(data) == 4 * audio_format.sample_bytes == 4 * sample_bytes
    back = np.frombuffer(audio_format.to_pcm16(data), dtype="<i2")
    np.testing.assert_allclose(back, [0, 1_000, -1_000, 32_767], rtol=0.04, atol=8)
