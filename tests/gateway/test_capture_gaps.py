"""Silence that a client announced instead of sending it."""

from antiphon_gateway.capture_gaps import MAX_FILL_US, CaptureGaps
from antiphon_proto.frames import AudioFrame, FrameKind, SilenceFrame

CHUNK = b"\1\0" * 320  # 20 ms at 16 kHz


def audio(at_us: int, pcm: bytes = CHUNK, rate_hz: int = 16_000) -> AudioFrame:
    return AudioFrame(FrameKind.MICROPHONE, 0, at_us, rate_hz, 0, pcm)


def taken(gaps: CaptureGaps, *frames: AudioFrame | SilenceFrame) -> list[tuple[int, int, bool]]:
    """Return what is taken: milliseconds, when it was captured, whether it is silence."""
    return [
        (len(pcm) // 2 * 1000 // rate_hz, captured_us, not any(pcm))
        for frame in frames
        for pcm, rate_hz, captured_us in gaps.filled(frame)
    ]


def test_silence_lasts_from_the_last_audio_to_the_time_that_is_told() -> None:
    found = taken(CaptureGaps(), audio(1_000_000), SilenceFrame(1, 1_120_000))
    assert found == [(20, 1_000_000, False), (100, 1_020_000, True)]


def test_the_rest_of_a_gap_is_filled_when_audio_comes_again() -> None:
    found = taken(
        CaptureGaps(),
        audio(0),
        SilenceFrame(1, 20_000),
        SilenceFrame(2, 120_000),
        audio(3_000_000),
        audio(3_020_000),
    )
    assert found == [
        (20, 0, False),
        (100, 20_000, True),
        (2_880, 120_000, True),
        (20, 3_000_000, False),
        (20, 3_020_000, False),
    ]
    assert sum(length for length, _, _ in found) == 3_040


def test_a_gap_that_nobody_announced_is_left_alone() -> None:
    assert taken(CaptureGaps(), audio(0), audio(5_000_000)) == [
        (20, 0, False),
        (20, 5_000_000, False),
    ]


def test_silence_before_any_audio_has_no_beginning() -> None:
    gaps = CaptureGaps()
    assert taken(gaps, SilenceFrame(0, 9_000_000)) == []
    assert taken(gaps, SilenceFrame(1, 9_500_000)) == [(500, 9_000_000, True)]


def test_time_that_goes_back_fills_nothing() -> None:
    gaps = CaptureGaps()
    assert taken(gaps, audio(8_000_000), SilenceFrame(1, 1_000_000)) == [(20, 8_000_000, False)]
    assert taken(gaps, audio(8_020_000)) == [(20, 8_020_000, False)]


def test_one_announcement_fills_no_more_than_the_audio_that_is_kept() -> None:
    found = taken(CaptureGaps(), audio(0), SilenceFrame(1, 2**53))
    assert found[1][0] == MAX_FILL_US // 1000


def test_silence_has_the_rate_of_the_audio_before_it() -> None:
    gaps = CaptureGaps()
    list(gaps.filled(audio(0, b"\1\0" * 960, 48_000)))
    assert [rate for _, rate, _ in gaps.filled(SilenceFrame(1, 40_000))] == [48_000]
