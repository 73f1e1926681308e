"""The pure parts of the neighbours: stop strings, stretches of speech, captions, forms, files."""

import io
import itertools
import wave

import numpy as np
import pytest

from antiphon_gateway.neighbours import audio_files, transcript_formats, transcription_request
from antiphon_gateway.neighbours.bodies import Memory
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.neighbours.speech import commands
from antiphon_gateway.neighbours.speech_request import SpeechRequest
from antiphon_gateway.neighbours.speech_segments import (
    MOST_WINDOWS,
    PAD_WINDOWS,
    SpeechSegments,
    Stretch,
)
from antiphon_gateway.neighbours.stop_text import StopText
from antiphon_gateway.neighbours.transcript_formats import Segment
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.messages import Transcript

LOUD, QUIET = 0.9, 0.01


def cut(text: str, stops: list[str], size: int) -> str:
    """Return what of a text is passed on when it comes in deltas of one size."""
    stop = StopText(stops)
    passed = "".join(stop.feed(text[at : at + size]) for at in range(0, len(text), size))
    return passed + stop.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_text_is_cut_at_its_first_stop_string_however_it_is_cut(size: int) -> None:
    assert cut("one\n\ntwo ENDING three", ["END", "three"], size) == "one\n\ntwo "
    assert cut("one EN ENd two E", ["END"], size) == "one EN ENd two E"
    assert cut("ababac", ["abac"], size) == "ab"
    assert cut("nothing", [], size) == "nothing"


def stretches(probabilities: list[float]) -> list[tuple[int, int]]:
    """Return the stretches of speech, in windows."""
    segments = SpeechSegments()
    found = [*segments.feed(probabilities), *segments.finish()]
    return [(start // WINDOW_SAMPLES, end // WINDOW_SAMPLES) for start, end in found]


def test_silence_and_a_click_are_no_speech() -> None:
    assert stretches([QUIET] * 500) == []
    assert stretches([QUIET] * 50 + [LOUD] * 2 + [QUIET] * 100) == []


def test_speech_keeps_a_little_silence_around_it() -> None:
    found = stretches([QUIET] * 50 + [LOUD] * 40 + [QUIET] * 100)
    assert found == [(50 - PAD_WINDOWS, 90 + PAD_WINDOWS)]


def test_a_short_pause_joins_and_a_long_one_parts() -> None:
    joined = stretches([LOUD] * 50 + [QUIET] * 30 + [LOUD] * 50 + [QUIET] * 100)
    assert joined == [(0, 130 + PAD_WINDOWS)]
    parted = stretches([LOUD] * 50 + [QUIET] * 80 + [LOUD] * 50)
    assert parted == [(0, 50 + PAD_WINDOWS), (130 - PAD_WINDOWS, 180)]
    enough = stretches([LOUD] * 200 + [QUIET] * 30 + [LOUD] * 50)
    assert enough == [(0, 200 + PAD_WINDOWS), (230 - PAD_WINDOWS, 280)]


def test_speech_without_a_pause_is_cut_at_its_quietest_moment_and_nothing_is_lost() -> None:
    probabilities = [LOUD] * 2_000
    probabilities[700] = 0.6
    found = stretches(probabilities)
    assert found[0] == (0, 700)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(found))
    assert found[-1][1] == 2_000
    assert all(end - start <= MOST_WINDOWS for start, end in found)


def segments() -> list[Segment]:
    return [
        Segment(Stretch(0, 16_000), Transcript(text=" Salt & pepper. ", language="en")),
        Segment(Stretch(16_000, 20_000), Transcript(text="")),
        Segment(Stretch(58_480_000, 58_496_000), Transcript(text="Late.")),
    ]


def test_captions_have_their_times() -> None:
    assert transcript_formats.srt(segments()) == (
        "1\n00:00:00,000 --> 00:00:01,000\nSalt & pepper.\n\n"
        "2\n01:00:55,000 --> 01:00:56,000\nLate.\n"
    )
    assert transcript_formats.vtt(segments()).startswith(
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nSalt &amp; pepper.\n\n01:00:55.000"
    )
    verbose = transcript_formats.verbose(segments(), 3_656.0, "")
    assert (verbose["text"], verbose["language"]) == ("Salt & pepper. Late.", "en")
    assert [segment["id"] for segment in verbose["segments"]] == [0, 1]


def wav(width: int, channels: int, rate_hz: int = 16_000) -> bytes:
    """Return a second of a tone of half the full scale, the same in every channel."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    scaled = np.rint(tone * (2 ** (8 * width - 1) - 1)).astype("<i4").repeat(channels)
    raw = scaled.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    if width == 1:
        raw = (scaled + 128).astype(np.uint8).tobytes()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setparams((channels, width, rate_hz, 0, "NONE", None))
        writer.writeframes(raw)
    return buffer.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize(("channels", "rate_hz"), [(1, 16_000), (2, 16_000), (6, 44_100)])
def test_every_wav_file_of_whole_numbers_is_decoded(
    width: int, channels: int, rate_hz: int
) -> None:
    file = wav(width, channels, rate_hz)
    pcm = np.frombuffer(audio_files.decode_wav(file), "<i2").astype(float)
    expected = 16_384 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert len(pcm) == 16_000
    assert np.abs(pcm - expected)[200:-200].max() < 300
    assert audio_files.decoded_bytes(file) == 32_000


def test_a_wav_file_that_was_streamed_is_as_long_as_what_it_holds() -> None:
    file = wav(2, 1)
    streamed = file[:40] + b"\xff\xff\xff\xff" + file[44:]
    assert audio_files.decode_wav(streamed) == audio_files.decode_wav(file)


def test_a_file_that_is_too_long_is_refused_before_it_is_read() -> None:
    file = bytearray(wav(1, 1, 4_000))
    too_long = bytes(file) + bytes(4_000 * 3_600)
    too_long = too_long[:40] + (len(too_long) - 44).to_bytes(4, "little") + too_long[44:]
    with pytest.raises(RequestRefused, match="3601 s long, the limit is 3600 s"):
        audio_files.decoded_bytes(too_long)


def test_uploads_share_one_room() -> None:
    memory = Memory(limit_bytes=1 << 20)
    with memory.share() as first, memory.share() as second:
        first.take(800_000)
        with pytest.raises(RequestRefused, match="uploads of all clients hold 1 MiB") as refused:
            second.take(800_000)
        assert (refused.value.status, refused.value.retry_after_s) == (503, 5)
    assert memory.held_bytes == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities[]"),
        ({"include[]": "logprobs"}, "include[]"),
        ({"stream": "maybe"}, "stream"),
    ],
)
def test_a_form_that_cannot_be_honoured_names_its_field(fields: dict[str, str], param: str) -> None:
    with pytest.raises(Exception, match=param.replace("[]", "")) as refused:
        transcription_request.interpret(b"", fields)
    assert refused.value.param == param  # type: ignore[attr-defined]


def test_all_of_a_text_is_said_in_order() -> None:
    text = "First, a word. Then *another*: done!\n\nAt last https://example.org/x follows."
    said = list(commands(SpeechRequest(text, "voice", 1.5, "pcm", False)))
    assert {(each.voice, each.speed) for each in said} == {("voice", 1.5)}
    joined = " ".join(each.text for each in said)
    assert joined.split()[0] == "First,"
    assert joined.split()[-2:] == ["example.org", "follows."]
