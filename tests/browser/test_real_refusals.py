"""The page in front of a real gateway that lets it in only with a key, and one at a time."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from playwright.async_api import Page, expect
from system import SIMULATED, System, running_system

pytestmark = [pytest.mark.browser, pytest.mark.integration]

KEY = "sesame-and-more"


@pytest.fixture
def guarded_system() -> Any:
    """A server with one key and one place."""
    limits = {"gateway.api_keys": KEY, "gateway.max_sessions": 1}
    with running_system({**SIMULATED, **limits}) as server:
        yield server


async def test_the_page_learns_that_it_needs_a_key_and_then_a_place(
    open_page: Any, guarded_system: System, tone_wav: Path
) -> None:
    page: Page = await open_page(
        guarded_system.url,
        microphone=tone_wav,
        expected_errors="WebSocket connection|Failed to load resource",
    )
    headers = {"Authorization": f"Bearer {KEY}"}
    async with ClientSession() as http:
        other = await http.ws_connect(guarded_system.realtime_url, headers=headers)
        await page.get_by_role("button", name="Talk", exact=True).click()
        await expect(page.get_by_role("alert").first).to_contain_text("asks for an access key")
        await page.get_by_label("Access key").fill(KEY)
        await page.keyboard.press("Enter")
        await expect(page.locator("#notes")).to_contain_text("you are next")
        await expect(page.get_by_role("status")).to_contain_text("Waiting for a place")
        query = {"waiting": "somebody-else"}
        async with http.get(
            f"{guarded_system.url}/v1/realtime", params=query, headers=headers
        ) as no:
            assert no.status == 503
            assert (await no.json())["error"]["position"] == 2
        await other.close()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=20_000)
