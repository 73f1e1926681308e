"""Makes the pictures of this directory from the running page: `make screenshots`.

Real server, embedded models, real Chromium; recorded questions come in through its fake microphone.
Staged is only the blocked microphone of `error.png`, which a script of the page refuses.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from playwright.async_api import Browser, Page, Playwright, async_playwright, expect  # noqa: E402
from system import System, running_system  # noqa: E402
from system_client import MIC_HZ, silence, speech  # noqa: E402

from antiphon_proto.audio import write_wav  # noqa: E402

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
QUESTIONS = ("lobster", "would_you_please", "how_can_i_begin", "go_forward")
FOUR_WORDS = re.compile(r"(\S+ ){3}\S")
PATIENCE_MS = 60_000
BLOCKED = """navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("no", "NotAllowedError");
};"""
FLAGS = (
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


async def opened(
    playwright: Playwright, url: str, microphone: Path, init: str = "", **context: Any
) -> tuple[Browser, Page]:
    """Open the page in a browser of its own."""
    browser = await playwright.chromium.launch(
        executable_path=shutil.which("chromium"),
        args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"],
    )
    page = await (await browser.new_context(**context)).new_page()
    if init:
        await page.add_init_script(init)
    await page.goto(url)
    await page.wait_for_timeout(500)
    return browser, page


async def keep(page: Page, name: str) -> None:
    """Keep what is seen."""
    await page.screenshot(path=HERE / f"{name}.png")


async def state(page: Page, caption: str) -> None:
    """Wait until the page is in a state."""
    await expect(page.get_by_role("status")).to_have_text(caption, timeout=PATIENCE_MS)


async def talk(page: Page) -> None:
    """Begin, and wait until the page has made out some words."""
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#log .user p").first).to_contain_text(
        FOUR_WORDS, timeout=PATIENCE_MS
    )


async def desktop(playwright: Playwright, url: str, microphone: Path) -> None:
    """A conversation in the light theme, from the first sight to its figures."""
    browser, page = await opened(playwright, url, microphone, viewport=DESKTOP)
    await keep(page, "idle")
    await talk(page)
    await keep(page, "listening")
    await state(page, "Speaking")
    await page.wait_for_timeout(1_200)
    await keep(page, "speaking")
    await page.get_by_role("button", name="Details").click()
    await expect(page.locator("#latency-count")).to_have_text("3", timeout=PATIENCE_MS)
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(1_500)
    await keep(page, "waterfall")
    await browser.close()


async def others(playwright: Playwright, url: str, microphone: Path) -> None:
    """A phone, the dark theme, a blocked microphone, the doctor."""
    browser, page = await opened(
        playwright, url, microphone, viewport=PHONE, device_scale_factor=2, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    await talk(page)
    await expect(page.locator("#log .assistant p")).not_to_have_text("", timeout=PATIENCE_MS)
    await state(page, "Speaking")
    await page.wait_for_timeout(1_000)
    await keep(page, "phone")
    await browser.close()
    browser, page = await opened(playwright, url, microphone, viewport=DESKTOP, color_scheme="dark")
    await talk(page)
    await state(page, "Speaking")
    await page.wait_for_timeout(1_200)
    await keep(page, "dark")
    await browser.close()
    browser, page = await opened(playwright, url, microphone, BLOCKED, viewport=DESKTOP)
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("alert").first).to_contain_text("blocked")
    await page.wait_for_timeout(1_000)
    await keep(page, "error")
    await browser.close()
    browser, page = await opened(
        playwright, f"{url}/doctor", microphone, viewport={"width": 1280, "height": 1000}
    )
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_role("button", name="Check again")).to_be_enabled(timeout=PATIENCE_MS)
    await page.screenshot(path=HERE / "doctor.png", full_page=True)
    await browser.close()


async def make(server: System) -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as directory:
        microphone = Path(directory) / "questions.wav"
        said = b"".join(speech(name) + silence(9) for name in QUESTIONS)
        write_wav(microphone, silence(2) + said, MIC_HZ)
        async with async_playwright() as playwright:
            await desktop(playwright, server.url, microphone)
            await others(playwright, server.url, microphone)


if __name__ == "__main__":
    with running_system({"llm.max_output_tokens": 40}, ready_within_s=120) as running:
        asyncio.run(make(running))
