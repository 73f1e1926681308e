"""A person talks to the page: real Chromium, real server, the embedded models, a human voice."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from held_microphone import held_microphone
from playwright.async_api import Page, WebSocket, expect
from system import System
from system_client import MIC_HZ, silence, speech

from antiphon_proto import frames
from antiphon_proto.audio import write_wav

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.models,
    pytest.mark.timeout(120),
]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 40_000


class Wire:
    """What the server and the page have sent to each other."""

    def __init__(self, page: Page) -> None:
        self.events: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.audio_samples = 0
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._take)
        socket.on("framesent", self._give)

    def _give(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self.sent.append(json.loads(payload))

    def _take(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self.events.append(json.loads(payload))
        else:
            self.audio_samples += len(frames.decode(payload).pcm) // 2

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type."""
        return [event for event in self.events if event["type"] == kind]


async def wait_for(page: Page, condition: Callable[[], bool]) -> None:
    """Wait until a condition of this side holds."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not condition():
            await page.wait_for_timeout(50)


async def played_samples(page: Page, at_least: int) -> int:
    """Return how much the page has played, once it is that much."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while (played := (await stats(page))["playedSamples"]) < at_least:
            await page.wait_for_timeout(50)
    return int(played)


async def stats(page: Page) -> dict[str, Any]:
    return await page.evaluate("() => window.antiphon.stats()")  # type: ignore[no-any-return]


def microphone(path: Path, *pieces: bytes) -> Path:
    write_wav(path, b"".join(pieces), MIC_HZ)
    return path


async def assert_fits(page: Page) -> None:
    """Fail when the page is wider than its window."""
    assert await page.evaluate(
        "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


@pytest.mark.parametrize(
    "viewport",
    [pytest.param(DESKTOP, marks=pytest.mark.thorough), PHONE],
    ids=["desktop", "phone"],
)
async def test_a_spoken_question_is_written_down_and_answered_aloud(
    open_page: Any, embedded_system: System, tmp_path: Path, viewport: Any
) -> None:
    wav = microphone(tmp_path / "question.wav", silence(1.5), speech("would_you_please"))
    page: Page = await open_page(embedded_system.url, microphone=wav, viewport=viewport)
    wire = Wire(page)
    await assert_fits(page)
    await page.screenshot(path=tmp_path / "1-opened.png")
    await page.get_by_role("button", name="Talk", exact=True).click()
    asked = page.locator("#log .user p")
    await expect(asked).to_contain_text("living room lamp", timeout=PATIENCE_MS, ignore_case=True)
    await played_samples(page, 12_000)
    await page.screenshot(path=tmp_path / "2-speaking.png")
    await wait_for(page, lambda: bool(wire.of_type("response.done")))
    assert wire.audio_samples > 12_000
    assert await played_samples(page, wire.audio_samples) == wire.audio_samples
    [done] = wire.of_type("response.done")
    text = done["response"]["output"][0]["content"][0]["transcript"].strip()
    await expect(page.locator("#log .assistant p")).to_have_text(text)
    await expect(page.get_by_role("status")).to_have_text("Listening")
    first, whole = wire.of_type("antiphon.turn.metrics")
    assert (first["complete"], whole["complete"]) == (False, True)
    assert sum(whole["parts_ms"].values()) == pytest.approx(whole["mouth_to_ear_ms"], abs=1.0)
    # The jitter buffer waits for 80 ms of audio, which may arrive at once.
    assert whole["parts_ms"]["jitter_buffer"] >= 0
    assert whole["parts_ms"]["playout"] > 0
    await page.screenshot(path=tmp_path / "3-answered.png")
    await assert_fits(page)
    figures = await stats(page)
    assert (figures["droppedSamples"], figures["framesDropped"]) == (0, 0)
    assert wire.of_type("error") == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Talk", exact=True)).to_be_visible()


async def test_speaking_over_an_answer_stops_it_and_is_answered(
    open_page: Any, embedded_system: System, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "over.wav", speech("would_you_please"))
    held = held_microphone(wav)
    page: Page = await open_page(
        embedded_system.url, microphone=wav, init_script=held, viewport=DESKTOP
    )
    wire = Wire(page)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await page.get_by_label("Your message").fill("Explain how rain is made.")
    await page.keyboard.press("Enter")
    # A fixed time would race with the answer: the model decides how long that is.
    await played_samples(page, 6_000)
    await page.evaluate("() => window.speak()")
    await wait_for(page, lambda: bool(wire.of_type("conversation.item.truncated")))
    figures, sent = await stats(page), wire.audio_samples
    first = figures["playedSamples"]
    assert 0 < first < sent
    [cut] = wire.of_type("conversation.item.truncated")
    heard_ms = first / 24 - figures["outputLatencyMs"]
    assert cut["audio_end_ms"] == pytest.approx(heard_ms, abs=60)
    await wait_for(page, lambda: bool(wire.of_type("conversation.item.retrieved")))
    kept = wire.of_type("conversation.item.retrieved")[0]["item"]["content"][0]["transcript"]
    interrupted = page.locator("#log .assistant").first
    await expect(interrupted).to_contain_text("interrupted")
    await expect(interrupted.locator("p")).to_have_text(kept)
    asked = page.locator("#log .user p").nth(1)
    await expect(asked).to_contain_text("living room lamp", timeout=PATIENCE_MS, ignore_case=True)
    await wait_for(page, lambda: len(wire.of_type("response.done")) == 2)
    answer = wire.audio_samples - sent
    assert answer > 12_000
    await played_samples(page, first + answer)
    await page.screenshot(path=tmp_path / "interrupted.png")


async def test_a_question_said_while_the_button_is_held_is_answered(
    open_page: Any, embedded_system: System, tmp_path: Path
) -> None:
    wav = microphone(tmp_path / "held.wav", speech("would_you_please"))
    held = held_microphone(wav)
    push = """localStorage.setItem("antiphon.settings", '{"turns": "push"}');"""
    page: Page = await open_page(
        embedded_system.url, microphone=wav, init_script=held + push, viewport=DESKTOP
    )
    wire = Wire(page)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("Hold the button to talk")
    await page.keyboard.down("Space")
    await page.evaluate("() => window.speak()")
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await page.wait_for_timeout(len(speech("would_you_please")) * 1000 // (2 * MIC_HZ) + 300)
    await page.keyboard.up("Space")
    asked = page.locator("#log .user p")
    await expect(asked).to_contain_text("living room lamp", timeout=PATIENCE_MS, ignore_case=True)
    await wait_for(page, lambda: bool(wire.of_type("response.done")))
    assert await played_samples(page, wire.audio_samples) == wire.audio_samples > 12_000
    assert wire.of_type("input_audio_buffer.speech_started") == []
    assert wire.of_type("error") == []
    await expect(page.get_by_role("status")).to_have_text("Hold the button to talk")
    await page.locator("#log .user").get_by_role("button", name="Replay").click()
    await wait_for_replay(page)


async def wait_for_replay(page: Page) -> None:
    """Wait until the page plays something again."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not (await stats(page))["replaying"]:
            await page.wait_for_timeout(20)
