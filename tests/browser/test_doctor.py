"""The doctor in the page: each line's verdict, with a real audio graph and a fake microphone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect
from scripted_gateway import ScriptedGateway

pytestmark = pytest.mark.browser

PATIENCE_MS = 20_000

LOOPBACK = """
(() => {
  const connect = AudioNode.prototype.connect;
  window.AudioContext = class extends AudioContext {
    constructor(options) {
      super(options);
      this.ear = this.createMediaStreamDestination();
      this.air = new GainNode(this, { gain: 0.25 });
      connect.call(this.air, this.ear);
      window.ear = this.ear;
    }
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target === this.context.destination) connect.call(this, this.context.air);
    return connect.call(this, target, ...rest);
  };
  navigator.mediaDevices.getUserMedia = async () => window.ear.stream;
})();
"""
"""A microphone that hears the loudspeaker at -12 dB."""

BLOCKED = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("no", "NotAllowedError");
};
"""


@asynccontextmanager
async def answering(gateway: ScriptedGateway) -> AsyncIterator[None]:
    """Answer every update of the session."""

    async def answer() -> None:
        while True:
            await gateway.event("session.update")
            await gateway.send("session.updated", session=gateway.session)

    task = asyncio.create_task(answer())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError, TimeoutError):
        await task


async def check(page: Page, gateway: ScriptedGateway) -> None:
    async with answering(gateway):
        await page.get_by_role("button", name="Check now").click()
        await expect(page.get_by_role("button", name="Check again")).to_be_enabled(
            timeout=PATIENCE_MS
        )


def line(page: Page, name: str) -> Locator:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.get_by_role("listitem").filter(has=heading)


async def verdicts(page: Page) -> dict[str, str]:
    """Return the verdict of every line."""
    lines = await page.get_by_role("listitem").all()
    return {
        await one.locator("h2").inner_text(): await one.locator("b").inner_text() for one in lines
    }


async def test_a_device_that_is_fit_gets_good_lines_only(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(f"{gateway.url}doctor", microphone=tone_wav)
    await check(page, gateway)
    found = await verdicts(page)
    assert list(found) == [
        "Secure page", "Server", "Round trip", "Jitter", "Microphone", "Sample rate", "Playing",
        "Hearing", "Echo cancellation", "Echo",
    ]  # fmt: skip
    # A loaded machine may be slow or unsteady, or play with gaps; all else is certain.
    timed = {"Round trip", "Jitter", "Playing"}
    assert {name: said for name, said in found.items() if said != "Good"}.keys() <= timed
    await expect(line(page, "Echo")).to_contain_text("does not hear the loudspeaker")
    await expect(line(page, "Playing")).to_contain_text("2.0 s played")
    await expect(line(page, "Round trip")).to_contain_text("at the median of 20")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy the report").click()
    await expect(page.get_by_role("status")).to_have_text("Copied.")
    report = await page.evaluate("navigator.clipboard.readText()")
    assert "OK   Echo: The microphone does not hear the loudspeaker." in report


async def test_an_echo_is_measured_and_the_fix_is_named(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(f"{gateway.url}doctor", microphone=tone_wav, init_script=LOOPBACK)
    await check(page, gateway)
    echo = line(page, "Echo")
    await expect(echo).to_contain_text("Could be better")
    await expect(echo).to_contain_text("hears the loudspeaker at -12 dB")
    await expect(echo.locator(".fix")).to_contain_text("Use headphones")
    await expect(page.get_by_role("status")).to_contain_text("You can talk.")


async def test_a_blocked_microphone_and_a_missing_key_are_broken_lines(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.key = "secret"
    page: Page = await open_page(
        f"{gateway.url}doctor",
        microphone=tone_wav,
        init_script=BLOCKED,
        expected_errors="401|WebSocket connection",
    )
    await check(page, gateway)
    found = await verdicts(page)
    assert (found["Server"], found["Microphone"]) == ("Broken", "Broken")
    await expect(line(page, "Server").locator(".fix")).to_contain_text("link with the key")
    await expect(line(page, "Microphone").locator(".fix")).to_contain_text("Allow it")
    await expect(page.get_by_role("status")).to_contain_text("2 of 5 checks failed")


async def test_a_page_without_https_is_told_what_to_open_instead(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    url = gateway.url.replace("127.0.0.1", "insecure.test")
    page: Page = await open_page(
        f"{url}doctor",
        microphone=tone_wav,
        flags=("--host-resolver-rules=MAP insecure.test 127.0.0.1",),
    )
    await check(page, gateway)
    secure = line(page, "Secure page")
    await expect(secure).to_contain_text("Broken")
    await expect(secure.locator(".fix")).to_contain_text("--lan")
    assert (await verdicts(page))["Server"] == "Good"


async def test_the_settings_lead_to_the_doctor(page: Page) -> None:
    await page.get_by_role("button", name="Settings", exact=True).click()
    await page.get_by_role("link", name="Check this browser").click()
    await expect(page.get_by_role("heading", name="Doctor")).to_be_visible()
    # The server is gone after the test; the page would still be loading its parts.
    await page.wait_for_load_state("networkidle")
