"""Voice activity: real speech, sessions in one batch, order, bounds, closing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from antiphon_gateway import vad as vad_module
from antiphon_gateway.vad import (
    MAX_WAITING_WINDOWS,
    MODEL_FILE,
    WINDOW_SAMPLES,
    SileroModel,
    Vad,
    VadStream,
)
from antiphon_proto import models
from antiphon_proto.audio import float_to_pcm16, read_wav
from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

DATA = Path(__file__).parents[1] / "data"
THRESHOLD = 0.5
WINDOW_S = WINDOW_SAMPLES / 16_000
WINDOW_BYTES = 2 * WINDOW_SAMPLES
CLIPS = {
    "what_time_is_it.wav": (0.74, 1.66),
    "lobster_a_la_newberg.wav": (0.58, 2.11),
    "you_didnt_want_to_come.wav": (0.58, 1.76),
    "when_churchyards_yawn.wav": (0.32, 2.05),
}


def noise(seconds: float, seed: int = 1, level: float = 0.05) -> bytes:
    samples = np.random.default_rng(seed).normal(0, level, int(16_000 * seconds))
    return float_to_pcm16(samples.astype(np.float32))


def clip(name: str) -> bytes:
    pcm, sample_rate_hz = read_wav(DATA / name)
    assert sample_rate_hz == 16_000
    return pcm


@pytest.fixture
def vad() -> Vad:
    return Vad(SileroModel(models.find("silero-vad", Config().models.directory)))


@asynccontextmanager
async def running(vad: Vad) -> AsyncIterator[None]:
    task = asyncio.create_task(vad.run())
    try:
        yield
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


async def probabilities(vad: Vad, pcm: bytes) -> list[float]:
    """Return what a stream alone delivers for `pcm`."""
    delivered: list[float] = []
    async with running(vad):
        stream = vad.open(delivered.extend)
        stream.feed(pcm)
        await stream.drained()
    assert len(delivered) == len(pcm) // WINDOW_BYTES
    return delivered


def speech_stretches(delivered: list[float]) -> list[tuple[int, int]]:
    """Return first and one-past-last window of each stretch of at least 96 ms; less is a click."""
    stretches: list[tuple[int, int]] = []
    for is_speech, run in groupby(enumerate(delivered), lambda item: item[1] >= THRESHOLD):
        windows = [index for index, _ in run]
        if is_speech and len(windows) >= 3:
            stretches.append((windows[0], windows[-1] + 1))
    return stretches


@pytest.mark.models
@pytest.mark.parametrize("name", CLIPS)
async def test_speech_is_found_where_it_is(vad: Vad, name: str) -> None:
    delivered = await probabilities(vad, clip(name) + bytes(16_000))
    stretches = speech_stretches(delivered)
    start_s, end_s = CLIPS[name]
    assert abs(stretches[0][0] * WINDOW_S - start_s) < 0.1
    assert abs(stretches[-1][1] * WINDOW_S - end_s) < 0.1


@pytest.mark.models
@pytest.mark.parametrize("level", [0.0, 0.005, 0.05, 0.3])
async def test_silence_and_white_noise_are_not_speech(vad: Vad, level: float) -> None:
    assert max(await probabilities(vad, noise(5, level=level))) < THRESHOLD


@pytest.mark.models
async def test_sessions_in_one_batch_hear_what_they_hear_alone(vad: Vad) -> None:
    inputs = [clip(name) for name in CLIPS] + [noise(2)]
    alone = [await probabilities(vad, pcm) for pcm in inputs]
    together: list[list[float]] = [[] for _ in inputs]
    async with running(vad):
        streams = [vad.open(delivered.extend) for delivered in together]
        for stream, pcm in zip(streams, inputs, strict=True):
            stream.feed(pcm)
        await asyncio.gather(*(stream.drained() for stream in streams))
    for expected, delivered in zip(alone, together, strict=True):
        assert delivered == pytest.approx(expected, abs=1e-5)


@pytest.mark.models
async def test_chunks_of_any_length_give_the_same_windows(vad: Vad) -> None:
    pcm = clip("what_time_is_it.wav")
    expected = await probabilities(vad, pcm)
    delivered: list[float] = []
    async with running(vad):
        stream = vad.open(delivered.extend)
        for start in range(0, len(pcm), 642):
            stream.feed(pcm[start : start + 642])
            await stream.drained()
    assert delivered == pytest.approx(expected, abs=1e-5)


@pytest.mark.models
async def test_one_batch_holds_the_windows_of_all_sessions(
    vad: Vad, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    threads: set[str] = set()
    step = vad_module.SileroModel.step

    def spying(model: vad_module.SileroModel, windows, state):  # type: ignore[no-untyped-def]
        sizes.append(len(windows))
        threads.add(threading.current_thread().name)
        return step(model, windows, state)

    monkeypatch.setattr(vad_module.SileroModel, "step", spying)
    async with running(vad):
        streams = [vad.open(lambda _: None) for _ in range(5)]
        for count, stream in enumerate(streams, start=1):
            stream.feed(noise(1)[: count * WINDOW_BYTES])
        await asyncio.gather(*(stream.drained() for stream in streams))
    assert sizes == [5, 4, 3, 2, 1]
    assert threads == {"vad_0"}


@pytest.mark.models
async def test_a_closed_stream_gets_nothing_and_harms_nobody(vad: Vad) -> None:
    heard: list[float] = []
    streams: list[VadStream] = []

    def close_the_other(probabilities: object) -> None:
        streams[1].close()

    streams.append(vad.open(close_the_other))
    streams.append(vad.open(heard.extend))
    third: list[float] = []
    streams.append(vad.open(third.extend))
    async with running(vad):
        for stream in streams:
            stream.feed(noise(1)[: 4 * WINDOW_BYTES])
        await streams[2].drained()
        streams[1].close()
        streams[1].feed(noise(1))
    assert heard == []
    assert len(third) == 4
    assert streams[1].waiting_windows == 0


@pytest.mark.models
async def test_a_new_stream_begins_in_silence(vad: Vad) -> None:
    expected = await probabilities(vad, noise(0.5))
    async with running(vad):
        first = vad.open(lambda _: None)
        first.feed(clip("lobster_a_la_newberg.wav"))
        await first.drained()
        first.close()
        delivered: list[float] = []
        second = vad.open(delivered.extend)
        second.feed(noise(0.5))
        await second.drained()
    assert delivered == pytest.approx(expected, abs=1e-5)


@pytest.mark.models
async def test_too_much_at_once_is_silence_first_and_keeps_the_count(vad: Vad) -> None:
    """The oldest windows are dropped; the newest, which hold the speech, are still heard."""
    surplus = 100
    speech = clip("lobster_a_la_newberg.wav")
    quiet = bytes(WINDOW_BYTES * (MAX_WAITING_WINDOWS + surplus) - len(speech))
    delivered: list[float] = []
    stream = vad.open(delivered.extend)
    stream.feed(quiet + speech)
    assert stream.waiting_windows == MAX_WAITING_WINDOWS
    async with running(vad):
        await stream.drained()
    assert len(delivered) == MAX_WAITING_WINDOWS + surplus
    assert delivered[:surplus] == [0.0] * surplus
    assert min(delivered[surplus:]) > 0.0
    assert max(delivered[-len(speech) // WINDOW_BYTES :]) > THRESHOLD


@pytest.mark.models
async def test_a_long_upload_does_not_hold_up_another_session(vad: Vad) -> None:
    order: list[str] = []
    long = vad.open(lambda _: order.append("long"))
    short = vad.open(lambda _: order.append("short"))
    long.feed(noise(20))
    short.feed(noise(1)[:WINDOW_BYTES])
    async with running(vad):
        await long.drained()
    assert order.index("short") <= 1
    assert order.count("long") > 10


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="run: antiphon models pull silero-vad"):
        SileroModel(tmp_path / MODEL_FILE)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(StartupError, match=MODEL_FILE):
        SileroModel(tmp_path)


@pytest.mark.models
async def test_only_who_is_ahead_of_the_model_waits(vad: Vad) -> None:
    stream = vad.open(lambda _: None)
    for _ in range(8):
        stream.feed(noise(1)[:WINDOW_BYTES])
        await stream.caught_up()
    stream.feed(noise(1)[:WINDOW_BYTES])
    waiting = asyncio.ensure_future(stream.caught_up())
    await asyncio.sleep(0)
    assert not waiting.done()
    async with running(vad):
        await waiting
    assert stream.waiting_windows <= 8
