"""The server is behind: the page holds its microphone back, and sends what it kept afterwards."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, stats, talk

pytestmark = pytest.mark.browser


SLOW_NETWORK = """window.unsentBytes = 0;
Object.defineProperty(WebSocket.prototype, "bufferedAmount", { get: () => window.unsentBytes });"""


async def until_sent(page: Page, frames: int) -> None:
    """Wait until the microphone has given so many frames, sent or held back."""
    async with asyncio.timeout(15):
        while (await stats(page))["framesSent"] < frames:
            await page.wait_for_timeout(20)


async def test_what_is_said_in_a_pause_follows_it_whole(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await gateway.received_frames(10)
    await gateway.send("antiphon.flow", microphone="pause")
    note = page.get_by_text("The server is behind.")
    await expect(note).to_be_visible()
    held_from = len(gateway.frames)
    sent = (await stats(page))["framesSent"]
    await until_sent(page, sent + 60)
    assert len(gateway.frames) == held_from, "audio came in the pause"
    await gateway.send("antiphon.flow", microphone="resume")
    frames = await gateway.received_frames(70)
    await expect(note).to_be_hidden()
    seqs = [frame.seq for frame in frames]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    for before, after in pairwise(frames):
        assert abs(after.timestamp - before.timestamp - 20_000) <= 1
    assert (await stats(page))["framesDropped"] == 0


async def test_what_a_slow_network_cannot_take_follows_whole(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=SLOW_NETWORK)
    await talk(page, gateway)
    await gateway.received_frames(10)
    await page.evaluate("window.unsentBytes = 1_000_000")
    sent = (await stats(page))["framesSent"]
    held_from = len(gateway.frames)
    await until_sent(page, sent + 60)
    assert len(gateway.frames) <= held_from + 2
    await page.evaluate("window.unsentBytes = 0")
    frames = await gateway.received_frames(60)
    seqs = [frame.seq for frame in frames]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    figures = await stats(page)
    assert figures["framesDropped"] == 0
    await expect(page.get_by_text("too slow for your voice")).to_have_count(0)


async def test_a_pause_ends_with_its_connection(page: Page, gateway: ScriptedGateway) -> None:
    await talk(page, gateway)
    await gateway.send("antiphon.flow", microphone="pause")
    await expect(page.get_by_text("The server is behind.")).to_be_visible()
    await gateway.close(1012)
    await gateway.connected(2)
    await gateway.received_frames(10)
    await expect(page.get_by_text("The server is behind.")).to_be_hidden()
