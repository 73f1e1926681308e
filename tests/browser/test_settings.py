"""Settings, access key and push-to-talk of the page, against a scripted gateway."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import RATE_HZ, ScriptedGateway, answer, stats, talk, tone

pytestmark = pytest.mark.browser

SESSION = {
    "id": "sess_1",
    "type": "realtime",
    "instructions": "Be brief.",
    "audio": {"output": {"voice": "joe", "speed": 1.0}, "input": {"transcription": {}}},
}
REFUSED_SOCKET = "WebSocket connection|Failed to load resource"


async def open_settings(page: Page) -> None:
    await page.get_by_role("button", name="Settings", exact=True).click()


async def test_a_setting_is_told_to_the_server_and_kept_for_the_next_visit(
    page: Page, gateway: ScriptedGateway
) -> None:
    gateway.session = SESSION
    await talk(page, gateway)
    await open_settings(page)
    await page.get_by_label("Instructions").fill("Answer in rhyme.")
    await page.get_by_label("Instructions").blur()
    await page.get_by_label("Eagerness").select_option("high")
    update = await gateway.event("session.update")
    assert update["session"]["instructions"] == "Answer in rhyme."
    update = await gateway.event("session.update")
    detection = update["session"]["audio"]["input"]["turn_detection"]
    assert detection == {"type": "semantic_vad", "eagerness": "high"}
    await page.reload()
    await page.get_by_role("button", name="Talk", exact=True).click()
    again = (await gateway.event("session.update"))["session"]
    assert again["instructions"] == "Answer in rhyme."
    assert again["audio"]["input"]["turn_detection"]["eagerness"] == "high"
    await open_settings(page)
    await page.get_by_role("button", name="Reset settings").click()
    assert (await gateway.event("session.update"))["session"]["instructions"] == "Be brief."


async def test_what_the_server_refuses_is_said_at_the_field_and_the_rest_holds(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    kept = json.dumps({"turns": "server", "threshold": 7, "voice": "ada"})
    page: Page = await open_page(
        gateway.url,
        microphone=tone_wav,
        init_script=f"localStorage.setItem('antiphon.settings', {json.dumps(kept)})",
    )
    await talk(page, gateway)
    first = await gateway.event("session.update")
    assert first["session"]["audio"]["output"]["voice"] == "ada"
    field = "session.audio.input.turn_detection.threshold"
    error = {"type": "invalid_request_error", "param": field, "event_id": first["event_id"],
             "message": "threshold: expected `float` <= 1.0"}  # fmt: skip
    await gateway.send("error", error=error)
    second = await gateway.event("session.update")
    assert second["session"]["audio"]["output"]["voice"] == "ada"
    await open_settings(page)
    threshold = page.get_by_label("How sure")
    await expect(threshold).to_have_accessible_description("threshold: expected `float` <= 1.0")
    await expect(threshold).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#problem")).to_be_hidden()
    await threshold.fill("0.7")
    await threshold.blur()
    third = (await gateway.event("session.update"))["session"]["audio"]["input"]
    assert third["turn_detection"]["threshold"] == 0.7
    await expect(threshold).not_to_have_attribute("aria-invalid", "true")


async def test_a_server_with_a_key_asks_for_it_and_the_page_can_forget_it(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.key = "sesame-7"
    page: Page = await open_page(gateway.url, microphone=tone_wav, expected_errors=REFUSED_SOCKET)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert").first).to_contain_text("asks for an access key")
    field = page.get_by_label("Access key")
    await expect(field).to_be_focused()
    await field.fill("not a key")
    await page.keyboard.press("Enter")
    await expect(page.locator("#key-refused")).to_contain_text("no spaces")
    await field.fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("#problem-text")).to_contain_text("does not accept")
    await field.fill("sesame-7")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Listening")
    assert gateway.protocol == "antiphon.v1"
    await expect(field).to_be_hidden()
    await open_settings(page)
    await page.get_by_role("button", name="Forget key").click()
    assert await page.evaluate("localStorage.getItem('antiphon.key')") is None


@pytest.fixture
async def held_page(open_page: Any, gateway: ScriptedGateway, tone_wav: Path) -> Page:
    """A page that listens only while the button is held."""
    page: Page = await open_page(
        gateway.url,
        microphone=tone_wav,
        init_script="localStorage.setItem('antiphon.settings', '{\"turns\": \"push\"}')",
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    update = await gateway.event("session.update")
    assert update["session"]["audio"]["input"] == {"turn_detection": None}
    await expect(page.get_by_role("status")).to_have_text("Hold the button to talk")
    return page


async def test_the_microphone_goes_up_only_while_the_button_is_held(
    held_page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    assert gateway.frames == []
    box = await held_page.get_by_role("button", name="Hold to talk").bounding_box()
    assert box is not None
    await held_page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await held_page.mouse.down()
    await gateway.event("input_audio_buffer.clear")
    await expect(held_page.get_by_role("status")).to_have_text("Listening")
    await gateway.received_frames(25)
    await held_page.mouse.up()
    await gateway.event("input_audio_buffer.commit")
    await gateway.event("response.create")
    await expect(held_page.get_by_role("status")).to_have_text("Thinking")
    sent = (await stats(held_page))["framesSent"]
    await answer(gateway, 1, "Yes.")
    await gateway.send_audio(1, tone(3))
    await until(held_page, "stats.playedSamples > 2400")
    assert (await stats(held_page))["framesSent"] == sent


async def test_the_space_bar_held_interrupts_and_asks(
    held_page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await answer(gateway, 1, "A long story")
    await gateway.send_audio(1, tone(3))
    await until(held_page, "stats.playedSamples > 2400")
    await held_page.keyboard.down("Space")
    await gateway.event("response.cancel")
    cut = await gateway.event("conversation.item.truncate")
    assert cut["audio_end_ms"] < (await stats(held_page))["playedSamples"] * 1000 / RATE_HZ + 1
    await gateway.received_frames(25)
    await held_page.keyboard.up("Space")
    await gateway.event("input_audio_buffer.commit")
    await gateway.event("response.create")


async def test_a_slip_of_the_finger_asks_nothing(held_page: Page, gateway: ScriptedGateway) -> None:
    await held_page.keyboard.press("Space")
    await expect(held_page.locator("#notes")).to_contain_text("too short")
    await expect(held_page.locator("#problem")).to_be_hidden()
    await held_page.keyboard.press("m")
    await held_page.get_by_role("button", name="Hold to talk").focus()
    await held_page.keyboard.press("Enter")
    await gateway.received_frames(25)
    await held_page.keyboard.press("Enter")
    await gateway.event("input_audio_buffer.commit")


async def test_keys_mute_and_lead_to_the_text_field_unless_turned_off(
    page: Page, gateway: ScriptedGateway
) -> None:
    await page.keyboard.press("Space")
    await gateway.connected()
    status = page.get_by_role("status")
    await expect(status).to_have_text("Listening")
    await page.keyboard.press("m")
    await expect(status).to_have_text("Muted")
    await page.keyboard.press("m")
    await expect(status).to_have_text("Listening")
    await page.keyboard.press("/")
    field = page.get_by_label("Your message")
    await expect(field).to_be_focused()
    await page.keyboard.type("m /?")
    await expect(field).to_have_value("m /?")
    await field.blur()
    await page.keyboard.press("?")
    await page.get_by_label("Single keys").uncheck()
    await page.get_by_role("button", name="Close settings").focus()
    await page.keyboard.press("m")
    await expect(status).to_have_text("Listening")
