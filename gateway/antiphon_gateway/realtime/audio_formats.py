"""The audio formats of the Realtime API and their bytes as PCM16."""

from typing import Literal

import msgspec

from antiphon_gateway.realtime import g711


class Pcm(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    """PCM16 little-endian mono."""

    rate: Literal[24000] = 24000

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second."""
        return self.rate

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire."""
        return 2

    def to_pcm16(self, data: bytes) -> bytes:
        """Return wire bytes as PCM16 at the format's sample rate."""
        return data

    def from_pcm16(self, pcm: bytes) -> bytes:
        """Return PCM16 at the format's sample rate as wire bytes."""
        return pcm


class Pcmu(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 mu-law mono."""

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second."""
        return 8_000

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire."""
        return 1

    def to_pcm16(self, data: bytes) -> bytes:
        """Return wire bytes as PCM16 at the format's sample rate."""
        return g711.ulaw_to_pcm16(data)

    def from_pcm16(self, pcm: bytes) -> bytes:
        """Return PCM16 at the format's sample rate as wire bytes."""
        return g711.pcm16_to_ulaw(pcm)


class Pcma(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law mono."""

    @property
    def sample_rate_hz(self) -> int:
        """Samples a second."""
        return 8_000

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire."""
        return 1

    def to_pcm16(self, data: bytes) -> bytes:
        """Return wire bytes as PCM16 at the format's sample rate."""
        return g711.alaw_to_pcm16(data)

    def from_pcm16(self, pcm: bytes) -> bytes:
        """Return PCM16 at the format's sample rate as wire bytes."""
        return g711.pcm16_to_alaw(pcm)


AudioFormat = Pcm | Pcmu | Pcma
