"""What people see: words that may change, sources, the theme, the wait for a place."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, answer, finish, talk, tone

pytestmark = pytest.mark.browser


async def test_words_that_may_change_stand_apart_and_sources_are_shown(
    page: Page, gateway: ScriptedGateway
) -> None:
    await talk(page, gateway)
    await gateway.send(
        "antiphon.transcript.partial", item_id="item_u1", stable="What is in", unstable="my noted"
    )
    said = page.locator("#log .user p")
    await expect(said).to_have_text("What is in my noted")
    await expect(said.locator(".unstable")).to_have_text(" my noted")
    ids = await answer(gateway, 1, "Bread.")
    evil = "<img src=x onerror=alert(1)>"
    await gateway.send(
        "antiphon.citations",
        response_id=ids["response_id"],
        item_id=ids["item_id"],
        citations=[{"source": "shopping.txt", "text": f"bread, milk {evil}"}],
    )
    await gateway.send_audio(1, tone(0.2))
    await finish(gateway, ids, "Bread.")
    await page.get_by_text("1 source").click()
    quote = page.locator("#log .assistant blockquote")
    await expect(quote).to_contain_text(f"bread, milk {evil}")
    await expect(quote.locator("cite")).to_have_text("shopping.txt")
    await expect(page.locator("#log img")).to_have_count(0)


async def test_the_theme_is_chosen_and_kept(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(gateway.url, microphone=tone_wav, color_scheme="light")
    background = "getComputedStyle(document.body.parentElement).backgroundColor"
    light = await page.evaluate(background)
    await page.get_by_role("button", name="Settings", exact=True).click()
    await page.get_by_label("Theme").select_option("dark")
    dark = await page.evaluate(background)
    assert dark != light
    await page.reload()
    assert await page.evaluate(background) == dark
    assert gateway.connections == 0


async def test_a_full_server_says_when_there_may_be_room(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.full = True
    gateway.retry_after_s = 40
    page: Page = await open_page(
        gateway.url, microphone=tone_wav, expected_errors="503|WebSocket connection"
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    status = page.get_by_role("status")
    await expect(status).to_contain_text("Waiting for a place. Trying again in")
    seconds = int((await status.inner_text()).split()[-2])
    assert 40 <= seconds <= 50
    await expect(page.get_by_text("room again in 40 s")).to_be_visible()


async def test_a_problem_leads_to_the_doctor(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    blocked = """navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException("no", "NotAllowedError");
    };"""
    page: Page = await open_page(gateway.url, microphone=tone_wav, init_script=blocked)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert").first).to_contain_text("blocked")
    await page.locator("#problem").get_by_role("link", name="Check").click()
    await expect(page.get_by_role("heading", name="Doctor")).to_be_visible()
    # The server ends before the browser does; what the page still fetched then would be an error.
    await page.wait_for_load_state("networkidle")
