"""`antiphon up --simulated`: a newcomer without models speaks and hears 440 Hz."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect
from ports import free_port
from scripted_gateway import stats
from system_client import MIC_HZ, silence, speech

from antiphon_proto import frames
from antiphon_proto.audio import write_wav
from antiphon_workers.tts.simulated import tone

pytestmark = [pytest.mark.browser, pytest.mark.integration]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A model cache in which nothing is installed."""
    (directory := tmp_path / "cache").mkdir()
    return directory


@pytest.fixture
def simulated_url(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[str]:
    port = free_port()
    runtime = tmp_path_factory.mktemp("r")
    command = [sys.executable, "-m", "antiphon", "up", "--simulated", "--port", str(port)]
    command += ["--set", f"bus.runtime_dir={runtime}", "--set", f"models.cache_dir={cache}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    )
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "make run" in line:
            break
    try:
        assert "SIMULATED: no model runs." in said, said
        yield f"http://localhost:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
    assert process.returncode == 0
    assert not any(cache.iterdir())


async def test_a_newcomer_without_models_speaks_and_hears_440_hz(
    simulated_url: str, open_page: Any, tmp_path: Path
) -> None:
    heard = bytearray()
    wav = tmp_path / "question.wav"
    # The microphone hears the answer too, as it does beside a loudspeaker: from 3 s after the
    # question for 2 s, within the 4 s of an answer that may come late on a busy machine.
    echo = tone("", "x" * 30, pitch_hz=440)
    write_wav(wav, silence(1.0) + speech("what_time_is_it") + silence(3.0) + echo, MIC_HZ)
    page: Page = await open_page(simulated_url, microphone=wav)
    await expect(page.get_by_text("Simulated: no model runs")).to_be_visible()
    assert await page.locator("#set-voice option").all_text_contents() == [
        "The server's choice",
        "440-hz-tone",
    ]

    def keep(payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            heard.extend(frames.decode(payload).pcm)

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#log .user p")).to_contain_text("No model is here", timeout=15_000)
    await expect(page.locator("#log .assistant p")).to_contain_text(
        "Microphone, server and loudspeaker work", timeout=15_000
    )
    while (await stats(page))["playedSamples"] < 24_000:
        await page.wait_for_timeout(50)
    samples = np.frombuffer(bytes(heard[:48_000]), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert np.argmax(spectrum) * 24_000 / len(samples) == pytest.approx(440, abs=2)
    assert (await stats(page))["outputLevel"] > 0.1
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    await expect(page.get_by_text("interrupted")).to_have_count(0)
