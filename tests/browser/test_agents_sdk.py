"""The stock `@openai/agents` SDK for JavaScript holds a conversation in Chromium."""

import base64
from pathlib import Path

import pytest
from agents_js import SDK, needs_sdk, told_by_script
from playwright.async_api import Route, WebSocket, async_playwright
from source_tree import ROOT
from system import System
from whole_talk import STORY, judge, recordings

from bench.turns.word_timer import WordTimer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.models,
    pytest.mark.timeout(120),
    needs_sdk,
]

CONVERSE = """async ([question, interruption, url, story]) => {
    const sdk = await import("./sdk/openai-realtime-agents.mjs");
    const { converse } = await import("./agents_conversation.mjs");
    const made = await fetch("/v1/realtime/client_secrets", { method: "POST" });
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const recordings = { question: bytes(question), interruption: bytes(interruption) };
    return await converse({ sdk, url, apiKey: (await made.json()).value, recordings, story });
}"""


async def serve(route: Route) -> None:
    """Answer as a site would that has the SDK's files and a page of its own."""
    name = route.request.url.rsplit("/stranger/", 1)[1]
    if not name:
        await route.fulfill(body="<!doctype html><title>A page</title>", content_type="text/html")
        return
    folder: Path = SDK / "dist" / "bundle" if name.startswith("sdk/") else ROOT / "tests/support"
    await route.fulfill(path=folder / Path(name).name, content_type="text/javascript")


async def test_a_spoken_conversation_with_a_call_and_an_interruption(
    chromium: str, embedded_system: System, word_timer: WordTimer
) -> None:
    sockets: list[WebSocket] = []
    # Chromium takes a page that the test hands out for one of the internet, which may not reach
    # this machine.
    arguments = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("websocket", lambda socket: sockets.append(socket))
        await page.route("**/stranger/**", serve)
        await page.goto(f"{embedded_system.url}/stranger/")
        spoken = [base64.b64encode(pcm).decode() for pcm in recordings()]
        told = await page.evaluate(CONVERSE, [*spoken, embedded_system.realtime_url, STORY])
        await browser.close()
    assert errors == []
    assert [socket.url.partition("?")[0] for socket in sockets] == [embedded_system.realtime_url]
    judge(told_by_script(told), word_timer)
