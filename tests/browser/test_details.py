"""Latency, events, sound and keepsakes of the page, against a scripted gateway."""

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect
from scripted_gateway import (
    RATE_HZ,
    ScriptedGateway,
    answer,
    ask,
    finish,
    stats,
    talk,
    tone,
)

pytestmark = pytest.mark.browser

STEPS_MS = {"pause_seen": 200, "transcript": 310, "model_first_text": 400, "audio_sent": 520,
            "left_the_speaker": 640}  # fmt: skip


async def turn(page: Page, gateway: ScriptedGateway, until: Any, number: int = 1) -> None:
    """Ask and hear an answer of half a second."""
    await gateway.received_frames(60)
    before = (await stats(page))["playedSamples"]
    await ask(gateway, f"item_u{number}", f"Question {number}?")
    ids = await answer(gateway, number, f"Answer {number}.")
    await gateway.send(
        "antiphon.turn.metrics",
        turn_id=f"turn_{number}",
        response_id=ids["response_id"],
        voice_to_voice_ms=520,
        steps_ms=STEPS_MS,
    )
    await gateway.send_audio(number, tone(0.5))
    await finish(gateway, ids, f"Answer {number}.")
    await until(page, f"stats.playedSamples === {before} + {RATE_HZ // 2}")


async def test_the_steps_of_a_turn_are_a_chart_and_a_table_with_unknown_steps_too(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await turn(page, gateway, until)
    await page.get_by_role("button", name="Details").click()
    table = page.get_by_role("table", name="Turn 1")
    row = table.get_by_role("row", name="your words known")
    await expect(row.get_by_role("cell").nth(1)).to_have_text("110")
    await expect(row.get_by_role("cell").nth(2)).to_have_text("310")
    await expect(table.get_by_role("row", name="left the speaker")).to_contain_text("640")
    await expect(page.locator("#latency-p50")).to_have_text("640 ms")
    trend = page.get_by_role("img", name="Totals of the last 1 turns in milliseconds: 640")
    await expect(trend).to_be_visible()
    await gateway.send(
        "antiphon.turn.metrics",
        turn_id="turn_2",
        response_id="resp_2",
        voice_to_voice_ms=900,
        steps_ms={"audio_sent": 900},
    )
    await expect(page.locator("#latency-p95")).to_have_text("900 ms")
    await page.get_by_label("Turn", exact=True).select_option("1")
    await expect(page.get_by_role("table", name="Turn 1")).to_be_visible()


async def test_events_are_listed_filtered_and_opened(page: Page, gateway: ScriptedGateway) -> None:
    await talk(page, gateway)
    await page.get_by_role("button", name="Details").click()
    await page.locator("#events > summary").click()
    listed = page.locator("#event-list > li")
    await expect(listed).to_have_count(1)
    await gateway.send("response.output_audio.delta", delta="A" * 4_000)
    await gateway.send("error", error={"message": "<b>No such voice</b>"})
    await expect(listed).to_have_count(3)
    await listed.nth(1).locator("summary").click()
    await expect(listed.nth(1).locator("pre")).to_contain_text("(4000 characters of audio)")
    await page.get_by_label("Filter").fill("such voice")
    await expect(listed).to_have_count(1)
    await listed.locator("summary").click()
    await expect(listed.locator("pre")).to_contain_text("<b>No such voice</b>")
    for _ in range(600):
        await gateway.send("error", error={"message": "no such voice"})
    await expect(listed).to_have_count(500)


async def test_a_turn_is_played_again_while_the_microphone_is_silent(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await turn(page, gateway, until)
    await expect(page.locator("#log .user").get_by_role("button", name="Replay")).to_be_visible()
    await page.locator("#log .assistant").get_by_role("button", name="Replay").click()
    await until(page, "stats.replaying")
    await gateway.received_frames(8)
    assert not any(gateway.frames[-1].pcm)
    await until(page, "!stats.replaying")


async def test_the_conversation_is_saved_as_text_json_and_sound_of_both_sides(
    page: Page, gateway: ScriptedGateway, until: Any, tmp_path: Path
) -> None:
    await talk(page, gateway)
    await turn(page, gateway, until)

    async def save(button: str) -> bytes:
        await page.get_by_text("Copy, save or clear").click()
        async with page.expect_download() as download:
            await page.get_by_role("button", name=button).click()
        path = tmp_path / "saved"
        await (await download.value).save_as(path)
        return path.read_bytes()

    text = "You: Question 1?\n\nAntiphon: Answer 1.\n"
    assert (await save("Save as text")).decode() == text
    items = json.loads(await save("Save as JSON"))["items"]
    assert [item["text"] for item in items] == ["Question 1?", "Answer 1."]
    with wave.open(io.BytesIO(await save("Save the sound"))) as wav:
        assert (wav.getnchannels(), wav.getframerate()) == (2, RATE_HZ)
        sides = np.frombuffer(wav.readframes(wav.getnframes()), np.int16).reshape(-1, 2)
    you, them = sides[:, 0], sides[:, 1]
    assert len(you) > RATE_HZ
    assert you.max() > 3_000
    assert them.max() == tone(0.5).max()
    assert np.count_nonzero(them) > 0.4 * RATE_HZ
    figures = await stats(page)
    assert 0 < figures["recordedBytes"] < 32 * 1024 * 1024
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_text("Copy, save or clear").click()
    await page.get_by_role("button", name="Copy as text").click()
    await expect(page.locator("#kept")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == text


async def test_a_cleared_conversation_leaves_nothing_and_the_next_begins_afresh(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await turn(page, gateway, until)
    await page.get_by_text("Copy, save or clear").click()
    await page.get_by_role("button", name="End and clear it").click()
    await gateway.disconnected()
    await expect(page.locator("#log > *")).to_have_count(0)
    await expect(page.locator("#kept")).to_have_text("Cleared.")
    assert (await stats(page))["recordedBytes"] == 0
    await page.get_by_role("button", name="Details").click()
    await expect(page.locator("#latency-empty")).to_be_visible()
    await page.get_by_role("button", name="Close details").click()
    await page.get_by_role("button", name="Talk", exact=True).click()
    await gateway.connected(2)
    await ask(gateway, "item_u1", "Afresh?")
    await expect(page.locator("#log .user p")).to_have_text("Afresh?")


SPECTROGRAM_PIXELS = """() => {
    const canvas = document.querySelector("#spectrogram");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, i) => i % 4 === 3 && value > 40).length;
}"""


async def test_the_spectrogram_is_drawn_only_while_it_can_be_seen(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    assert (await stats(page))["spectrogram"] is False
    await page.get_by_role("button", name="Details").click()
    await page.locator("#spectrogram").scroll_into_view_if_needed()
    await until(page, "stats.spectrogram")
    await answer(gateway, 1, "La")
    await gateway.send_audio(1, tone(2))
    await until(page, f"({SPECTROGRAM_PIXELS})() > 200")
    await page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    await until(page, "!stats.spectrogram")
    await page.evaluate(
        """() => {
            delete document.hidden;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    await until(page, "stats.spectrogram")
    await page.get_by_role("button", name="Close details").click()
    await until(page, "!stats.spectrogram")
