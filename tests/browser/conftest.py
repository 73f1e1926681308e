"""A real Chromium with a file as its microphone."""

import asyncio
import math
import re
import shutil
import wave
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright, expect
from scripted_gateway import ScriptedGateway

OpenPage = Callable[..., Awaitable[Page]]
Until = Callable[[Page, str], Awaitable[None]]

# A busy machine may take longer than the usual 5 s to draw what a test waits for.
expect.set_options(timeout=15_000)

FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium. Skips where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium on the PATH; on Debian: apt-get install chromium")


async def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript expression is true; `stats` in it is the page's `antiphon.stats()`.

    Playwright's own wait_for_function needs eval, which the page's security policy forbids.
    """
    async with asyncio.timeout(15):
        await page.evaluate(
            f"""() => new Promise((resolve) => {{
                const check = () => {{
                    const stats = window.antiphon?.stats();
                    if ({condition}) resolve();
                    else setTimeout(check, 5);
                }};
                check();
            }})"""
        )


@pytest.fixture(name="until")
def until_fixture() -> Until:
    return until


@pytest.fixture
def tone_wav(tmp_path: Path) -> Path:
    """Two seconds of a 440 Hz tone at half of full scale, 16 kHz mono: a microphone that hears."""
    path = tmp_path / "tone.wav"
    samples = array(
        "h", (round(16_384 * math.sin(2 * math.pi * 440 * n / 16_000)) for n in range(32_000))
    )
    with wave.open(str(path), "wb") as wav:
        wav.setparams((1, 2, 16_000, len(samples), "NONE", ""))
        wav.writeframes(samples.tobytes())
    return path


@pytest.fixture
async def open_page(chromium: str) -> AsyncIterator[OpenPage]:
    """Open a URL in a browser of its own; other keywords than those named go to its context.

    `await open_page(url, microphone=Path, init_script="...", viewport={...}, ...)`; the WAV is
    played once into the fake microphone; `flags` are Chromium's. The test fails at its end if a
    page logged an error that the pattern `expected_errors` does not match.
    """
    errors: list[str] = []
    async with async_playwright() as playwright, AsyncExitStack() as stack:

        async def open_page(
            url: str,
            *,
            microphone: Path,
            init_script: str = "",
            flags: tuple[str, ...] = (),
            expected_errors: str = "",
            **context_options: Any,
        ) -> Page:
            browser = await playwright.chromium.launch(
                executable_path=chromium,
                args=[*FLAGS, *flags, f"--use-file-for-fake-audio-capture={microphone}%noloop"],
            )
            stack.push_async_callback(browser.close)
            context = await browser.new_context(**context_options)

            def fits(text: str) -> bool:
                return bool(expected_errors and re.search(expected_errors, text))

            if init_script:
                await context.add_init_script(init_script)
            page = await context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on(
                "console",
                lambda message: (
                    errors.append(message.text)
                    if message.type == "error" and not fits(message.text)
                    else None
                ),
            )
            await page.goto(url)
            await until(page, "window.antiphon !== undefined")
            return page

        yield open_page
    assert errors == []


@pytest.fixture
async def gateway() -> AsyncIterator[ScriptedGateway]:
    scripted = ScriptedGateway()
    runner = web.AppRunner(scripted.application(), shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def page(open_page: Any, gateway: ScriptedGateway, tone_wav: Path) -> Page:
    opened: Page = await open_page(gateway.url, microphone=tone_wav)
    return opened
