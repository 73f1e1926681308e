"""G.711 telephone audio, one byte a sample, to PCM16 and back.

ITU-T Recommendation G.711 (11/88), tables 1 and 2, with 16-bit samples as in G.191: the 13 bits of
A-law and the 14 bits of mu-law stand in the upper bits. Python's own `audioop` ended with 3.12.
"""

import numpy as np
import numpy.typing as npt

_ULAW_BIAS = 0x84
_ULAW_CLIP = 32_635
_ALAW_TOGGLE = 0x55


def ulaw_to_pcm16(data: bytes) -> bytes:
    """Return mu-law bytes as PCM16 little-endian bytes, two for each."""
    return bytes(_DECODE_ULAW[np.frombuffer(data, dtype=np.uint8)])


def alaw_to_pcm16(data: bytes) -> bytes:
    """Return A-law bytes as PCM16 little-endian bytes, two for each."""
    return bytes(_DECODE_ALAW[np.frombuffer(data, dtype=np.uint8)])


def pcm16_to_ulaw(pcm: bytes) -> bytes:
    """Return PCM16 little-endian bytes as mu-law bytes. An odd last byte is an error."""
    return bytes(_ENCODE_ULAW[np.frombuffer(pcm, dtype="<u2")])


def pcm16_to_alaw(pcm: bytes) -> bytes:
    """Return PCM16 little-endian bytes as A-law bytes. An odd last byte is an error."""
    return bytes(_ENCODE_ALAW[np.frombuffer(pcm, dtype="<u2")])


def _ulaw_decoding() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + _ULAW_BIAS) << ((code >> 4) & 0x07)
    magnitude -= _ULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


def _alaw_decoding() -> npt.NDArray[np.int16]:
    code = np.arange(256, dtype=np.uint8) ^ _ALAW_TOGGLE
    segment = ((code >> 4) & 0x07).astype(np.int32)
    magnitude = ((code & 0x0F).astype(np.int32) << 4) + 8
    magnitude = np.where(segment > 0, (magnitude + 0x100) << np.maximum(segment - 1, 0), magnitude)
    return np.where(code & 0x80, magnitude, -magnitude).astype("<i2")


def _ulaw_encoding() -> npt.NDArray[np.uint8]:
    """Return the code of every 16-bit sample, indexed by the sample's unsigned reading."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    biased = np.minimum(np.abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    segment = np.floor(np.log2(biased)).astype(np.int32) - 7
    code = (segment << 4) | ((biased >> (segment + 3)) & 0x0F) | np.where(sample < 0, 0x80, 0)
    return np.asarray(~code & 0xFF, dtype=np.uint8)


def _alaw_encoding() -> npt.NDArray[np.uint8]:
    """Return the code of every 16-bit sample, indexed by the sample's unsigned reading."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(sample < 0, ~sample, sample) >> 3
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    mantissa = (magnitude >> np.maximum(segment, 1)) & 0x0F
    code = (segment << 4) | mantissa | np.where(sample < 0, 0, 0x80)
    return np.asarray((code ^ _ALAW_TOGGLE) & 0xFF, dtype=np.uint8)


_DECODE_ULAW = _ulaw_decoding()
_DECODE_ALAW = _alaw_decoding()
_ENCODE_ULAW = _ulaw_encoding()
_ENCODE_ALAW = _alaw_encoding()
