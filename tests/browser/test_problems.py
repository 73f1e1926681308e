"""What the page says when something is wrong, against a scripted gateway."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, answer, finish, talk, tone

pytestmark = pytest.mark.browser

REFUSED_SOCKET = "WebSocket connection|Failed to load resource"


def microphone_fails(name: str) -> str:
    return f"""navigator.mediaDevices.getUserMedia =
        async () => {{ throw new DOMException("no", "{name}"); }};"""


def microphone_is(label: str, settings: str) -> str:
    return f"""const original = navigator.mediaDevices.getUserMedia;
    navigator.mediaDevices.getUserMedia = async function (...constraints) {{
        const stream = await original.apply(this, constraints);
        const [track] = stream.getAudioTracks();
        Object.defineProperty(track, "label", {{ value: "{label}" }});
        track.getSettings = () => ({settings});
        return stream;
    }};"""


async def test_a_missing_microphone_is_named_with_what_to_do(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    script = microphone_fails("NotFoundError")
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=script)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("No microphone was found. Connect one")


async def test_rates_that_cannot_be_joined_are_named_with_what_to_do(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    refuse = """AudioContext.prototype.createMediaStreamSource = () => {
        throw new DOMException("different sample-rate", "NotSupportedError");
    };"""
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=refuse)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("their sample rates differ")
    await expect(page.get_by_role("alert")).to_contain_text("set both to 48 kHz")


async def test_a_headset_without_echo_cancellation_is_noted_quietly(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    settings = "{ echoCancellation: false, sampleRate: 16000 }"
    script = microphone_is("Galaxy Hands-Free AG Audio", settings)
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=script)
    await talk(page, gateway)
    notes = page.locator("#notes .note")
    await expect(notes).to_have_count(2)
    await expect(notes.nth(0)).to_contain_text("Echo cancellation is off")
    await expect(notes.nth(0)).to_contain_text("Use headphones")
    await expect(notes.nth(1)).to_contain_text("(16 kHz): a Bluetooth headset")
    await expect(page.locator("#problem")).to_be_hidden()
    await notes.nth(0).get_by_role("button").click()
    await expect(notes).to_have_count(1)
    await gateway.send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u1")
    await expect(notes).to_have_count(1)


async def test_without_https_the_page_says_so_and_writing_works(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    port = gateway.url.rstrip("/").rpartition(":")[2]
    page: Page = await open_page(
        f"http://antiphon.test:{port}/",
        microphone=tone_wav,
        flags=("--host-resolver-rules=MAP antiphon.test 127.0.0.1",),
    )
    await expect(page.get_by_role("alert")).to_contain_text("without HTTPS")
    await expect(page.get_by_role("alert")).to_contain_text("http://localhost")
    await page.get_by_label("Your message").fill("Hello?")
    await page.keyboard.press("Enter")
    update = await gateway.event("session.update")
    assert update["session"]["output_modalities"] == ["text"]
    await gateway.event("response.create")
    await gateway.send("response.output_text.done", item_id="item_a1", text="Hello.")
    await expect(page.locator("#log .assistant p")).to_have_text("Hello.")
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("without HTTPS")


async def test_a_full_server_is_waited_for(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.full = True
    page: Page = await open_page(gateway.url, microphone=tone_wav, expected_errors=REFUSED_SOCKET)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#notes")).to_contain_text("The server is full: 2 sessions are open")
    await expect(page.locator("#notes")).to_contain_text("until a place is free")
    await expect(page.get_by_role("status")).to_contain_text("Waiting for a place")
    gateway.full = False
    async with asyncio.timeout(20):
        await gateway.connected()
    await expect(page.get_by_role("status")).to_have_text("Listening")
    await expect(page.locator("#notes .note")).to_have_count(0)


async def test_a_restarting_server_is_a_note_that_leaves_with_the_new_session(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    # The new session may be there before a look at the page is.
    await page.evaluate(
        """() => {
            const notes = document.querySelector("#notes");
            window.noted = "";
            new MutationObserver(() => { window.noted += notes.textContent; })
                .observe(notes, { childList: true, subtree: true, characterData: true });
        }"""
    )
    before = gateway.connections
    await gateway.close(1012)
    await gateway.connected(before + 1)
    await expect(page.locator("#notes .note")).to_have_count(0)
    noted = await page.evaluate("window.noted")
    assert "The server is restarting." in noted
    assert "connects again by itself" in noted


async def test_a_part_that_the_server_has_lost_is_named_until_it_is_back(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    notes = page.locator("#notes .note")
    for stage, words in {"stt": "make out words", "llm": "answers", "tts": "its voice"}.items():
        await gateway.send("antiphon.degraded", stage=stage, degraded=True)
        await expect(notes).to_have_count(1)
        await expect(notes).to_contain_text(words)
        await expect(notes).to_contain_text("your turn waits for it")
    await gateway.send("antiphon.degraded", stage="stt", degraded=False)
    await gateway.send("antiphon.degraded", stage="llm", degraded=False)
    await expect(notes).to_contain_text("its voice")
    await gateway.send("antiphon.degraded", stage="tts", degraded=False)
    await expect(notes).to_have_count(0)
    await expect(page.get_by_role("status")).to_have_text("Listening")


async def test_an_answer_at_its_length_limit_is_a_quiet_note(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    ids = await answer(gateway, 1, "It is")
    await gateway.send_audio(1, tone(0.2))
    await finish(gateway, ids, "It is")
    response = {"id": "resp_1", "status": "incomplete", "output": [],
                "status_details": {"reason": "max_output_tokens"}}  # fmt: skip
    await gateway.send("response.done", response=response)
    await expect(page.locator("#notes")).to_contain_text("reached its length limit")
    await expect(page.locator("#problem")).to_be_hidden()
    await page.get_by_role("button", name="OK: The answer reached its length limit").click()
    await expect(page.locator("#notes .note")).to_have_count(0)
