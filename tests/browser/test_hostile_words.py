"""Words that are markup: shown as they are, never obeyed."""

from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway, answer, ask, talk

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


async def test_hostile_transcripts_and_answers_become_no_elements(
    page: Page, gateway: ScriptedGateway, until: Any
) -> None:
    await talk(page, gateway)
    await ask(gateway, "item_u1", HOSTILE)
    await answer(gateway, 1, HOSTILE)
    await expect(page.locator("#log .user")).to_contain_text("<img src=x")
    await until(page, "document.querySelector('#log .assistant')?.textContent.includes('<img')")
    assert await page.locator("#log img, #log script").count() == 0
    assert await page.title() != "taken"
