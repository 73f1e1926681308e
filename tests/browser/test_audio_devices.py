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


PLUGGED = """
    localStorage.setItem("antiphon.audioinput", "headset");
    window.plugged = [];
    const listed = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
    navigator.mediaDevices.enumerateDevices = async () => [...window.plugged, ...await listed()];
    window.plug = (...ids) => {
        window.plugged = ids.map((deviceId) => ({ kind: "audioinput", deviceId, label: deviceId }));
        navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
    };
"""
"""Gives a test microphones to plug in; "headset" was chosen at the last visit."""


async def test_the_chosen_microphone_is_taken_when_it_is_plugged_in(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    page: Page = await open_page(
        gateway.url, microphone=tone_wav, init_script=MICROPHONES + PLUGGED
    )
    await talk(page, gateway)
    await gateway.received_frames(10)
    picker = page.locator("#microphone option:checked")
    await expect(picker).to_have_text("Your last choice (not connected)")
    await page.evaluate("window.plug('another')")
    await page.evaluate("window.plug('another', 'headset')")
    await until(page, "window.opened.length === 2 && window.opened[0].track.readyState === 'ended'")
    assert await page.evaluate("window.opened[1].wanted.deviceId.ideal") == "headset"
    await expect(picker).to_have_text("headset")
    await gateway.received_frames(10)
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_a_sound_that_stands_still_after_a_call_is_opened_anew(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    frozen = """
        const { prototype } = BaseAudioContext;
        const clock = Object.getOwnPropertyDescriptor(prototype, "currentTime").get;
        Object.defineProperty(prototype, "currentTime", {
            get() { return this === window.frozen ? 1 : clock.call(this); },
        });
    """
    page: Page = await open_page(
        gateway.url, microphone=tone_wav, init_script=HELD_BACK + MICROPHONES + frozen
    )
    await page.evaluate("() => { window.claims = null; }")
    await talk(page, gateway)
    await gateway.received_frames(5)
    await page.evaluate(
        "() => { window.frozen = window.contexts[0]; window.claim('interrupted'); }"
    )
    await expect(page.get_by_text("taken by a call or another app")).to_be_visible()
    await page.evaluate("window.claim(null)")
    await until(page, "window.opened.length === 2")
    await gateway.received_frames(10)
    await answer(gateway, 1, "Here I am")
    await gateway.send_audio(1, tone(0.5))
    await until(page, "stats.outputLevel > 0.3")
    assert gateway.connections == 1


async def test_the_screen_stays_on_while_a_conversation_goes_on(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    assert (await stats(page))["wakeLock"] is False
    await talk(page, gateway)
    await until(page, "stats.wakeLock")
    await page.locator("#end").click()
    await until(page, "!stats.wakeLock")


BACKGROUND = """
    window.background = false;
    Object.defineProperty(document, "visibilityState", {
        get: () => (window.background ? "hidden" : "visible"),
    });
    const frame = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => (window.background ? 0 : frame(draw));
    const later = window.setTimeout.bind(window);
    window.setTimeout = (work, ms = 0, ...rest) =>
        later(work, window.background ? Math.max(1000, ms) : ms, ...rest);
"""
"""What a browser does to a tab that is not seen: nothing is drawn, timers go off once a second. A
headless Chromium knows no such tab."""


async def test_a_tab_in_the_background_hears_and_is_heard(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=BACKGROUND)
    await talk(page, gateway)
    await page.evaluate("() => { window.background = true; }")
    samples = tone(1)
    ids = await answer(gateway, 1, "Here I am")
    await gateway.send_audio(1, samples, size=len(samples))
    await gateway.send("response.output_audio.done", **ids)
    while (await gateway.event("antiphon.playout"))["buffered_ms"] > 0:
        pass
    figures = await stats(page)
    assert (figures["playedSamples"], figures["underruns"]) == (len(samples), 0)
    frames = await gateway.received_frames(50)
    assert [frame.seq for frame in frames] == list(range(len(frames)))


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
