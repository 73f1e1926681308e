"""Speech inside the items that clients send: what of it is to be transcribed. Pure."""

from collections.abc import Iterable

from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.client_items import SpokenPart
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.audio import Resampler
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

MAX_WAITING_MS = 60_000
"""Audio of items that waits for its transcript in one session."""
MIN_PART_MS = 100

_SAMPLES_PER_MS = STT_SAMPLE_RATE_HZ // 1000


def turns_of(
    parts: Iterable[SpokenPart],
    form: AudioFormat,
    waiting: Iterable[UserTurn],
    *,
    of_input: bool = False,
) -> list[UserTurn]:
    """Return a turn to be transcribed for each part.

    `form` is that of the session's input, `waiting` are the turns that have no transcript yet.
    Raises InvalidEvent when a part is too short or too much would wait.
    """
    turns = []
    waiting_samples = sum(len(turn.pcm) // 2 for turn in waiting)
    for part in parts:
        length_ms = len(part.audio) // form.sample_bytes * 1000 // form.sample_rate_hz
        limit_ms = MAX_WAITING_MS - waiting_samples // _SAMPLES_PER_MS
        if not MIN_PART_MS <= length_ms <= limit_ms:
            raise InvalidEvent(
                "invalid_value",
                f"{part.path} has {length_ms} ms of audio, not between {MIN_PART_MS} and "
                f"{limit_ms}: at most {MAX_WAITING_MS} ms may wait for transcripts",
                param=part.path,
            )
        pcm = _at_16_khz(form.to_pcm16(part.audio), form.sample_rate_hz)
        samples = len(pcm) // 2
        waiting_samples += samples
        turns.append(
            UserTurn(
                part.item_id,
                0,
                end_sample=samples,
                committed=True,
                manual=True,
                content_index=part.content_index,
                pcm=pcm,
                of_input=of_input,
            )
        )
    return turns


def _at_16_khz(pcm: bytes, sample_rate_hz: int) -> bytes:
    whole = pcm[: len(pcm) & ~1]
    return Resampler(sample_rate_hz, STT_SAMPLE_RATE_HZ).feed(whole, last=True)
