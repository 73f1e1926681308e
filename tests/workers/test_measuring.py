"""What is measured of engines that take as long as they are told."""

import pytest

from antiphon_proto.config import load
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ
from antiphon_workers.measuring.engines import LONG_S, measure

SETTINGS = (
    "stt.engine=simulated",
    "llm.engine=simulated",
    "tts.engine=simulated",
    "stt.slots=4",
    "stt.batch=4",
    "simulated.stt_ms=20",
    "simulated.stt_batched_ms=20",
    "llm.slots=3",
    "simulated.llm_first_token_ms=30",
    "simulated.llm_token_ms=10",
    "simulated.tts_first_audio_ms=20",
    "simulated.tts_real_time_factor=0.05",
)


def test_each_engine_is_measured_with_so_many_jobs_as_it_may_hold() -> None:
    found, speech = measure(load(environment={}, settings=SETTINGS))
    assert len(speech) / 2 / STT_SAMPLE_RATE_HZ > LONG_S
    stt, llm, tts = (found.engines[stage] for stage in ("stt", "llm", "tts"))
    assert [[point.jobs for point in each.points] for each in (stt, llm, tts)] == [
        [1, 2, 4],
        [1, 2, 3],
        [1, 2, 4, 8],
    ]
    # Sleeps are not shorter than asked for; a busy machine makes them longer.
    assert stt.points[0].first_ms + 6 * stt.points[0].step_ms >= 20
    assert stt.points[2].first_ms > stt.points[0].first_ms
    assert llm.points[0].first_ms >= 30
    assert llm.points[0].step_ms >= 10
    assert tts.points[0].first_ms >= 20
    # A pause before each chunk of 100 ms but the first.
    assert 45 <= tts.points[0].step_ms < 500
    assert all(0 < point.cores < 2 for point in llm.points)


def test_an_engine_that_answers_nothing_cannot_be_measured() -> None:
    settings = (*SETTINGS, "simulated.reply=")
    with pytest.raises(StartupError, match="the llm engine answered nothing"):
        measure(load(environment={}, settings=settings))
