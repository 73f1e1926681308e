"""The browser client against a scripted gateway: real Chromium, real sockets, real audio thread."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, expect
from scripted_gateway import RATE_HZ, ScriptedGateway, answer, ask, finish, stats, talk, tone

from antiphon_proto.frames import FrameKind

pytestmark = pytest.mark.browser

KEEP_OUTPUT = """
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (target, ...rest) {
        if (target instanceof AudioDestinationNode && this instanceof AnalyserNode) {
            const samples = new Float32Array(this.fftSize);
            window.loudest = () => {
                this.getFloatTimeDomainData(samples);
                return Math.max(...samples.map(Math.abs));
            };
        }
        return connect.call(this, target, ...rest);
    };
"""
"""Gives a test the samples that leave the page: `loudest()` of the last 20 ms."""


async def test_the_microphone_goes_up_as_20_ms_frames_without_gaps(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    heard = await gateway.received_frames(60)
    assert gateway.protocol == "antiphon.v1"
    rate_hz = 16_000
    assert [frame.seq for frame in heard] == list(range(len(heard)))
    assert {frame.kind for frame in heard} == {FrameKind.MICROPHONE}
    assert {(frame.sample_rate_hz, frame.stream) for frame in heard} == {(rate_hz, 0)}
    assert {len(frame.pcm) for frame in heard} == {rate_hz // 50 * 2}
    start_us = heard[0].timestamp
    assert all(abs(f.timestamp - start_us - f.seq * 20_000) <= 1 for f in heard)
    assert max(np.frombuffer(frame.pcm, np.int16).max() for frame in heard) > 3_000


async def test_an_answer_is_shown_and_played_to_its_last_sample(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await ask(gateway, "item_u1", "What time is it?")
    await expect(page.get_by_role("status")).to_have_text("Thinking")
    samples = tone(0.7)
    ids = await answer(gateway, 1, "It is")
    # Watched from before it comes: on a busy machine it may be over when this side looks again.
    heard = asyncio.create_task(until(page, "stats.outputLevel > 0.5"))
    # In one piece: on a busy machine pieces may come farther apart than they last.
    await gateway.send_audio(1, samples, size=len(samples))
    await expect(page.get_by_role("status")).to_have_text("Speaking")
    await heard
    log = page.get_by_role("log")
    await expect(page.locator("#log .assistant")).to_have_attribute("aria-hidden", "true")
    await finish(gateway, ids, "It is ten o'clock.")
    while (playout := await gateway.event("antiphon.playout"))["buffered_ms"] > 0:
        assert playout["item_id"] == "item_a1"
        assert 0 <= playout["played_ms"] <= 700
    assert playout["played_ms"] == 700
    assert (await stats(page))["playedSamples"] == len(samples)
    assert (await stats(page))["underruns"] == 0
    await expect(log).to_contain_text("What time is it?")
    await expect(log).to_contain_text("It is ten o'clock.")
    await expect(page.locator("#log .assistant")).not_to_have_attribute("aria-hidden", "true")
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_an_answer_is_played_though_the_link_breaks_while_the_player_loads(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    gateway.lost["/src/worklets/playback.js"] = 2
    await page.get_by_label("Your message").fill("What time is it?")
    await page.keyboard.press("Enter")
    await gateway.connected()
    await ask(gateway, "item_u1", "What time is it?")
    samples = tone(0.7)
    ids = await answer(gateway, 1, "It is")
    await gateway.send_audio(1, samples, size=len(samples))
    await finish(gateway, ids, "It is ten o'clock.")
    await until(page, f"stats.playedSamples === {len(samples)}")
    assert gateway.lost == {"/src/worklets/playback.js": 0}


@pytest.mark.parametrize("lost", ["playback", "capture"])
async def test_who_begins_to_talk_is_heard_though_the_link_breaks_while_the_worklets_load(
    page: Page, gateway: ScriptedGateway, lost: str
) -> None:
    gateway.lost[f"/src/worklets/{lost}.js"] = 2
    await page.get_by_role("button", name="Talk", exact=True).click()
    await gateway.received_frames(5)
    assert gateway.lost == {f"/src/worklets/{lost}.js": 0}
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_barge_in_flushes_truncates_and_ignores_what_comes_late(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    ids = await answer(gateway, 1, "A long story that nobody")
    await gateway.send_audio(1, tone(3))
    await until(page, "stats.playedSamples > 4800")
    await gateway.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u2")
    truncate = await gateway.event("conversation.item.truncate")
    assert truncate["item_id"] == "item_a1"
    assert truncate["content_index"] == 0
    figures = await stats(page)
    played_ms = figures["playedSamples"] * 1000 / RATE_HZ
    assert 0 < truncate["audio_end_ms"] <= played_ms < 3_000
    # What is still between the page and the loudspeaker was not heard; more than that was.
    assert played_ms - figures["outputLatencyMs"] - truncate["audio_end_ms"] <= 60
    await gateway.send_audio(1, tone(1), first=3 * RATE_HZ)
    late = {**ids, "content_index": 1}
    await gateway.send("antiphon.audio.started", **late, stream=2, sample_rate_hz=RATE_HZ)
    await gateway.send_audio(2, tone(1))
    await finish(gateway, ids, "A long story that nobody hears.", status="cancelled")
    await gateway.send("conversation.item.truncated", item_id="item_a1", audio_end_ms=200)
    await gateway.event("conversation.item.retrieve")
    content = [{"type": "output_audio", "transcript": "A long"}]
    item = {"id": "item_a1", "type": "message", "role": "assistant", "content": content}
    await gateway.send("conversation.item.retrieved", item=item)
    await expect(page.locator("#log .assistant p")).to_have_text("A long")
    await expect(page.locator("#log .assistant")).to_contain_text("interrupted")
    await expect(page.get_by_role("status")).to_have_text("Listening")
    assert (await stats(page))["playedSamples"] == figures["playedSamples"]


async def test_the_answer_after_a_barge_in_is_played_in_full(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    ids = await answer(gateway, 1, "One")
    await gateway.send_audio(1, tone(2))
    await until(page, "stats.playedSamples > 2400")
    await gateway.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u2")
    await gateway.event("conversation.item.truncate")
    played = (await stats(page))["playedSamples"]
    await finish(gateway, ids, "One", status="cancelled")
    ids = await answer(gateway, 2, "Two")
    await gateway.send_audio(2, tone(0.5))
    await finish(gateway, ids, "Two")
    await until(page, f"stats.playedSamples === {played} + {RATE_HZ // 2}")


async def test_ducking_lowers_the_answer_until_it_is_lifted(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=KEEP_OUTPUT)
    await talk(page, gateway)
    await answer(gateway, 1, "La")
    await gateway.send_audio(1, tone(6))
    full = 8_000 / 32_768
    await until(page, f"Math.abs(window.loudest() - {full}) < {full * 0.05}")
    await gateway.send("antiphon.duck", item_id="item_a1", ducked=True)
    await until(page, f"window.loudest() < {full * 0.2}")
    await expect(page.get_by_role("status")).to_have_text("Speaking quietly")
    assert 0.05 * full < await page.evaluate("window.loudest()")
    played = (await stats(page))["playedSamples"]
    await until(page, f"stats.playedSamples > {played}")
    await gateway.send("antiphon.duck", item_id="item_a1", ducked=False)
    await until(page, f"Math.abs(window.loudest() - {full}) < {full * 0.05}")
    await expect(page.get_by_role("status")).to_have_text("Speaking")


async def test_a_paused_answer_goes_on_from_the_same_sample(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=KEEP_OUTPUT)
    await talk(page, gateway)
    ids = await answer(gateway, 1, "La")
    await gateway.send_audio(1, tone(2))
    await until(page, "stats.playedSamples > 2400")
    await gateway.send("antiphon.duck", item_id="item_a1", ducked=True, paused=True)
    await until(page, "window.loudest() === 0")
    played = (await stats(page))["playedSamples"]
    await page.wait_for_timeout(500)
    assert (await stats(page))["playedSamples"] - played <= RATE_HZ // 10
    await gateway.send("antiphon.duck", item_id="item_a1", ducked=False, paused=False)
    await finish(gateway, ids, "La")
    await until(page, f"stats.playedSamples === {2 * RATE_HZ}")
    assert (await stats(page))["underruns"] == 0


async def test_a_muted_microphone_sends_silence_and_keeps_the_session(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await page.get_by_role("button", name="Mute").click()
    await expect(page.get_by_role("status")).to_have_text("Muted")
    before = len(await gateway.received_frames(1))
    heard = await gateway.received_frames(20)
    assert all(not any(frame.pcm) for frame in heard[before:])
    assert [frame.seq for frame in heard] == list(range(len(heard)))
    await page.get_by_role("button", name="Mute").click()
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_a_typed_message_is_answered_aloud_without_a_microphone(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await page.get_by_label("Your message").fill("Hello <b>there</b>")
    await page.keyboard.press("Enter")
    item = (await gateway.event("conversation.item.create"))["item"]
    assert item["content"] == [{"type": "input_text", "text": "Hello <b>there</b>"}]
    await gateway.event("response.create")
    await expect(page.locator("#log .user p")).to_have_text("Hello <b>there</b>")
    ids = await answer(gateway, 1, "Hello.")
    await gateway.send_audio(1, tone(0.3))
    await finish(gateway, ids, "Hello.")
    await until(page, f"stats.playedSamples === {RATE_HZ * 3 // 10}")
    assert gateway.frames == []
    await expect(page.get_by_role("button", name="Talk", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )


async def test_a_message_typed_over_an_answer_cancels_it(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await answer(gateway, 1, "A long story")
    await gateway.send_audio(1, tone(3))
    await until(page, "stats.playedSamples > 2400")
    await page.get_by_label("Your message").fill("Stop")
    await page.keyboard.press("Enter")
    await gateway.event("response.cancel")
    await gateway.event("response.create")
    assert (await gateway.event("conversation.item.truncate"))["item_id"] == "item_a1"


async def test_errors_are_announced_and_can_be_dismissed(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    alert = page.get_by_role("alert")
    await gateway.send("error", error={"type": "invalid_request_error", "message": "No such voice"})
    await expect(alert).to_contain_text("No such voice")
    await page.get_by_role("button", name="Dismiss the message").click()
    await expect(page.locator("#problem")).to_be_hidden()
    details = {"type": "failed", "error": {"code": "llm", "message": "The model is not there"}}
    response = {"id": "resp_9", "status": "failed", "status_details": details, "output": []}
    await gateway.send("response.done", response=response)
    await expect(alert).to_contain_text("The model is not there")
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_a_refused_microphone_is_explained_and_the_session_released(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    deny = """navigator.mediaDevices.getUserMedia =
        async () => { throw new DOMException("no", "NotAllowedError"); };"""
    page = await open_page(gateway.url, microphone=tone_wav, init_script=deny)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked.")
    await expect(page.get_by_role("alert")).to_contain_text("browser's settings")
    await until(page, "stats.state === 'error'")
    assert gateway.frames == []


async def test_the_page_connects_again_after_a_restart_of_the_server(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await ask(gateway, "item_u1", "Remember me.")
    await gateway.received_frames(1)
    await gateway.close(1012)
    await expect(page.get_by_role("status")).to_contain_text("Trying again")
    await gateway.connected(2)
    gateway.frames.clear()
    await expect(page.get_by_role("status")).to_have_text("Listening")
    assert (await gateway.received_frames(5))[0].seq <= 5
    await expect(page.get_by_role("log")).to_contain_text("Remember me.")


async def test_the_keyboard_starts_and_escape_releases_everything(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, until: Any
) -> None:
    keep_track = """const original = navigator.mediaDevices.getUserMedia;
        navigator.mediaDevices.getUserMedia = async function (...constraints) {
            const stream = await original.apply(this, constraints);
            window.track = stream.getAudioTracks()[0];
            return stream;
        };"""
    page = await open_page(gateway.url, microphone=tone_wav, init_script=keep_track)
    button = page.get_by_role("button", name="Talk", exact=True)
    await button.focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await expect(button).to_have_attribute("aria-pressed", "true")
    await until(page, "window.track.readyState === 'live'")
    await page.keyboard.press("Escape")
    await until(page, "stats.state === 'idle' && window.track.readyState === 'ended'")
    await expect(button).to_have_attribute("aria-pressed", "false")
    await gateway.disconnected()
