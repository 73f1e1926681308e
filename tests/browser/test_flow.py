"""The server is behind: the page holds its microphone back, and sends what it kept afterwards."""

import asyncio
from itertools import pairwise

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, stats, talk

pytestmark = pytest.mark.browser


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
    async with asyncio.timeout(15):
        while (await stats(page))["framesSent"] < sent + 60:
            await page.wait_for_timeout(20)
    assert len(gateway.frames) == held_from, "audio came in the pause"
    await gateway.send("antiphon.flow", microphone="resume")
    frames = await gateway.received_frames(70)
    await expect(note).to_be_hidden()
    seqs = [frame.seq for frame in frames]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    for before, after in pairwise(frames):
        assert abs(after.timestamp - before.timestamp - 20_000) <= 1
    assert (await stats(page))["framesDropped"] == 0


async def test_a_pause_ends_with_its_connection(page: Page, gateway: ScriptedGateway) -> None:
    await talk(page, gateway)
    await gateway.send("antiphon.flow", microphone="pause")
    await expect(page.get_by_text("The server is behind.")).to_be_visible()
    await gateway.close(1012)
    await gateway.connected(2)
    await gateway.received_frames(10)
    await expect(page.get_by_text("The server is behind.")).to_be_hidden()
