"""The words of a recording in the formats that clients ask for. Pure."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from antiphon_gateway.neighbours.speech_segments import Stretch
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ, Transcript


class Segment(NamedTuple):
    """What was said in one stretch of a recording."""

    stretch: Stretch
    transcript: Transcript

    @property
    def text(self) -> str:
        """Its words."""
        return self.transcript.text.strip()

    @property
    def times_s(self) -> tuple[float, float]:
        """Where it begins and ends."""
        start, end = (sample / STT_SAMPLE_RATE_HZ for sample in self.stretch)
        return round(start, 3), round(end, 3)


def whole_text(segments: Sequence[Segment]) -> str:
    """Return all words."""
    return " ".join(segment.text for segment in segments if segment.text)


def usage(seconds: float) -> dict[str, Any]:
    """Return what OpenAI's clients are told of the cost: the length of the audio."""
    return {"type": "duration", "seconds": round(seconds, 3)}


def verbose(segments: Sequence[Segment], seconds: float, language: str) -> dict[str, Any]:
    """Return the body of `verbose_json`; a segment is a stretch between two silences."""
    spoken = [segment for segment in segments if segment.text]
    found = next((each.transcript.language for each in spoken if each.transcript.language), "")
    return {
        "task": "transcribe",
        "language": found or language,
        "duration": round(seconds, 3),
        "text": whole_text(spoken),
        "segments": [_verbose_segment(number, each) for number, each in enumerate(spoken)],
        "usage": usage(seconds),
    }


def srt(segments: Sequence[Segment]) -> str:
    """Return SubRip captions."""
    spoken = [segment for segment in segments if segment.text]
    return "\n".join(
        f"{number}\n{_span(segment, ',')}\n{segment.text}\n"
        for number, segment in enumerate(spoken, start=1)
    )


def vtt(segments: Sequence[Segment]) -> str:
    """Return WebVTT captions."""
    captions = [f"{_span(each, '.')}\n{_escaped(each.text)}\n" for each in segments if each.text]
    return "\n".join(["WEBVTT\n", *captions])


def _verbose_segment(number: int, segment: Segment) -> dict[str, Any]:
    start_s, end_s = segment.times_s
    raw = segment.text.encode()
    return {
        "id": number,
        "seek": int(start_s * 100),
        "start": start_s,
        "end": end_s,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": segment.transcript.average_log_probability,
        "compression_ratio": round(len(raw) / len(zlib.compress(raw)), 3),
        "no_speech_prob": segment.transcript.no_speech_probability,
    }


def _span(segment: Segment, mark: str) -> str:
    return " --> ".join(_clock(seconds, mark) for seconds in segment.times_s)


def _clock(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def _escaped(text: str) -> str:
    """Return text that is no WebVTT markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
