"""A browser without AudioWorklet: MediaRecorder hears, ScriptProcessor plays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, answer, finish, stats, talk, tone
from system import System
from system_client import word_errors

from antiphon_gateway.decoders import Decoders

pytestmark = pytest.mark.browser

WITHOUT_WORKLETS = """
    delete window.AudioWorkletNode;
    delete window.AudioWorklet;
    delete BaseAudioContext.prototype.audioWorklet;
"""
SPEECH = Path(__file__).parents[1] / "data" / "speech"


@pytest.fixture
async def page(open_page: Any, gateway: ScriptedGateway, tone_wav: Path) -> Page:
    opened: Page = await open_page(gateway.url, microphone=tone_wav, init_script=WITHOUT_WORKLETS)
    return opened


async def test_the_microphone_goes_up_as_one_compressed_stream(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    start = await gateway.event("antiphon.encoded_audio.start")
    heard = await gateway.received_encoded(20)
    assert gateway.frames == []
    assert [frame.seq for frame in heard] == list(range(len(heard)))
    times_us = [frame.timestamp for frame in heard]
    assert times_us == sorted(times_us)
    stream = b"".join(frame.content for frame in heard)
    pcm = await Decoders(1).decode(stream, start["mime_type"], max_s=60)
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    assert 1.0 < len(samples) / 16_000 < 6.0
    assert np.abs(samples).max() > 3_000
    loudest_hz = np.abs(np.fft.rfft(samples)).argmax() * 16_000 / len(samples)
    assert loudest_hz == pytest.approx(440, abs=5)


async def test_an_answer_is_played_to_its_last_sample(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    samples = tone(0.7)
    ids = await answer(gateway, 1, "It is ten.")
    await gateway.send_audio(1, samples)
    await until(page, "stats.outputLevel > 0.5")
    await finish(gateway, ids, "It is ten.")
    while (playout := await gateway.event("antiphon.playout"))["buffered_ms"] > 0:
        pass
    assert playout["played_ms"] == 700
    assert (await stats(page))["playedSamples"] == len(samples)


async def test_a_new_connection_gets_a_stream_of_its_own(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await gateway.event("antiphon.encoded_audio.start")
    await gateway.received_encoded(3)
    await gateway.close(1012)
    await gateway.connected(2)
    gateway.encoded.clear()
    start = await gateway.event("antiphon.encoded_audio.start")
    heard = await gateway.received_encoded(8)
    stream = b"".join(frame.content for frame in heard)
    assert await Decoders(1).decode(stream, start["mime_type"], max_s=60)


@pytest.mark.integration
@pytest.mark.models
@pytest.mark.timeout(120)
async def test_a_person_is_understood(open_page: Any, embedded_system: System) -> None:
    page: Page = await open_page(
        embedded_system.url,
        microphone=SPEECH / "what_time_is_it.wav",
        init_script=WITHOUT_WORKLETS,
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    said = page.locator("#log .user")
    await expect(said).not_to_have_attribute("aria-hidden", "true", timeout=40_000)
    assert word_errors("you what time is it", await said.inner_text()) == 0
    await expect(page.locator("#log .assistant")).not_to_be_empty(timeout=40_000)
