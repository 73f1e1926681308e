"""What happens to the sound from outside: devices, calls, the browser, a voice over a reply."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import WEB, ScriptedGateway, answer, stats, talk, tone

pytestmark = pytest.mark.browser

SPEECH = Path(__file__).parents[1] / "data" / "speech"

MICROPHONES = """
    window.opened = [];
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
        const stream = await real(constraints);
        window.opened.push({ wanted: constraints.audio, track: stream.getAudioTracks()[0] });
        return stream;
    };
"""
"""Gives a test each microphone that the page opened."""

HELD_BACK = """
    const state = Object.getOwnPropertyDescriptor(BaseAudioContext.prototype, "state").get;
    window.claims = "suspended";
    window.contexts = [];
    Object.defineProperty(BaseAudioContext.prototype, "state", {
        get() {
            if (!window.contexts.includes(this)) window.contexts.push(this);
            return window.claims ?? state.call(this);
        },
    });
    window.claim = (claims) => {
        window.claims = claims;
        for (const context of window.contexts) context.dispatchEvent(new Event("statechange"));
    };
"""
"""A test says what state the AudioContexts claim to be in."""


async def test_a_microphone_that_goes_away_is_replaced(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=MICROPHONES)
    await talk(page, gateway)
    await gateway.received_frames(10)
    assert await page.evaluate("window.opened[0].wanted.echoCancellation") is True
    await page.evaluate("""() => {
        const { track } = window.opened[0];
        track.stop();
        track.dispatchEvent(new Event("ended"));
    }""")
    await gateway.received_frames(10)
    assert await page.evaluate("window.opened.map(({ track }) => track.readyState)") == [
        "ended",
        "live",
    ]
    times_us = [frame.timestamp for frame in gateway.frames]
    assert times_us == sorted(times_us)
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await page.locator("#end").click()
    assert await page.evaluate("window.opened[1].track.readyState") == "ended"


async def test_sound_that_is_held_back_or_taken_says_so(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=HELD_BACK)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await gateway.connected()
    await expect(page.get_by_text("Tap anywhere to enable sound.")).to_be_visible()
    await page.evaluate("window.claim(null)")
    await expect(page.get_by_text("Tap anywhere to enable sound.")).to_be_hidden()
    await page.evaluate("window.claim('interrupted')")
    await expect(page.get_by_text("taken by a call or another app")).to_be_visible()
    await page.evaluate("window.claim(null)")
    await expect(page.get_by_text("taken by a call or another app")).to_be_hidden()


async def test_a_voice_over_a_reply_halves_it_at_once_and_alone_not_for_long(
    open_page: Any, gateway: ScriptedGateway, until: Any
) -> None:
    gains = """
        window.gains = [];
        const set = AudioParam.prototype.setTargetAtTime;
        AudioParam.prototype.setTargetAtTime = function (value, ...rest) {
            window.gains.push(value);
            return set.call(this, value, ...rest);
        };
    """
    page: Page = await open_page(gateway.url, microphone=SPEECH / "lobster.wav", init_script=gains)
    await talk(page, gateway)
    await answer(gateway, 1, "A long story")
    await gateway.send_audio(1, tone(6))
    await until(page, "window.gains.length >= 2")
    assert await page.evaluate("window.gains.slice(0, 2)") == [0.251, 1]
    await gateway.send("antiphon.duck", item_id="item_a1", ducked=True)
    await until(page, "window.gains.at(-1) === 0.126")


async def test_stop_gives_everything_back(page: Page, gateway: ScriptedGateway) -> None:
    await talk(page, gateway)
    await answer(gateway, 1, "A long story")
    await gateway.send_audio(1, tone(6))
    await expect(page.get_by_role("status")).to_have_text("Speaking")
    await page.locator("#end").click()
    await gateway.disconnected()
    assert (await stats(page))["outputLevel"] == 0


async def test_the_page_weighs_less_than_250_kb(page: Page, gateway: ScriptedGateway) -> None:
    """Uncompressed, with all that a conversation loads; recognition and doctor come on demand."""
    await talk(page, gateway)
    await answer(gateway, 1, "It is ten.")
    weight = await page.evaluate("""() =>
        ["navigation", "resource"]
            .flatMap((kind) => performance.getEntriesByType(kind))
            .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)""")
    worklets = sum(path.stat().st_size for path in (WEB / "src" / "worklets").iterdir())
    assert 100_000 < weight + worklets < 250_000
