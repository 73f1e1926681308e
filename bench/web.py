"""The page in a real Chromium, talked to for long or over a bad network: gaps that are heard, what
the jitter buffer adds, how soon it is painted, and whether memory grows.

The server has `simulated` engines: the figures are those of the page and the way to it.
"""

import argparse
import asyncio
import importlib
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, Page, WebSocket, async_playwright

from antiphon.private_server import own_server
from antiphon_proto.errors import AntiphonError, StartupError
from antiphon_proto.messages import STAGES
from bench.statistics import percentile

SETTINGS = [f"{stage}.engine=simulated" for stage in STAGES]
FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
_PATIENCE_S = 60.0
_UNDO_STEPS = 1_000
_WARM_UP = 8
"""Turns before memory counts."""
_PROXY = Path(__file__).parents[1] / "tests" / "support"


class Wait(NamedTuple):
    """What the jitter buffer did to one reply, by the clock of the audio thread."""

    added_ms: float
    """From its first audio to its first sample: all of it is heard so much later."""
    needed_ms: float
    """How much of that was needed: with less a later message would have come too late."""
    buffer_ms: float
    """Audio that the next reply waits for."""


class Footprint(NamedTuple):
    """What the page holds, after its garbage was collected."""

    heap_bytes: int
    nodes: int
    """Without those of the transcript, which keeps its last 500 entries."""
    transcript_nodes: int
    audio_handlers: int
    listeners: int
    """Without those of the transcript, one an entry that can be played again."""


class Wire:
    """What the page and the server tell each other of replies."""

    def __init__(self, page: Page) -> None:
        self.begun = 0
        """Replies whose first sample was played."""
        self.done = 0
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, payload: str | bytes) -> None:
        if isinstance(payload, str) and "antiphon.turn.played" in payload:
            self.begun += 1

    def _received(self, payload: str | bytes) -> None:
        if isinstance(payload, str) and '"response.done"' in payload:
            self.done += 1


async def stats(page: Page) -> dict[str, Any]:
    """Return what the page says of itself."""
    found: dict[str, Any] = await page.evaluate("() => window.antiphon.stats()")
    return found


async def ask(page: Page, wire: Wire, text: str) -> Wait:
    """Ask in writing, hear the reply to its end, return what the jitter buffer did."""
    done, begun = wire.done, wire.begun
    await _type(page, text)
    async with asyncio.timeout(_PATIENCE_S):
        while wire.done == done or wire.begun == begun:
            await page.wait_for_timeout(20)
        while (figures := await stats(page))["state"] != "idle":
            await page.wait_for_timeout(50)
    return Wait(figures["waitedMs"], figures["neededMs"], figures["jitterMs"])


async def interrupt(page: Page, wire: Wire, text: str) -> None:
    """Ask in writing and leave as soon as the reply begins: the next question cuts it off."""
    begun = wire.begun
    await _type(page, text)
    async with asyncio.timeout(_PATIENCE_S):
        while wire.begun == begun:
            await page.wait_for_timeout(10)


async def _type(page: Page, text: str) -> None:
    await page.get_by_label("Your message").fill(text)
    await page.keyboard.press("Enter")


async def fill_undo_history(page: Page) -> None:
    """Chromium keeps what was typed and taken away, a node a time, for so many steps of undoing."""
    field = page.get_by_label("Your message")
    for number in range(_UNDO_STEPS):
        await field.fill(f"{number}")
        await field.evaluate("field => { field.value = ''; }")


COUNT = """(() => {
    const log = document.querySelector("#log");
    const walker = document.createTreeWalker(log);
    let nodes = 0;
    while (walker.nextNode()) nodes++;
    return { nodes, buttons: log.querySelectorAll("button").length };
})()"""


async def footprint(session: CDPSession) -> Footprint:
    """Collect the page's garbage and count what is left."""
    for _ in range(2):
        await session.send("HeapProfiler.collectGarbage")
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    found = {metric["name"]: int(metric["value"]) for metric in metrics}
    asked = {"expression": COUNT, "returnByValue": True}
    shown = (await session.send("Runtime.evaluate", asked))["result"]["value"]
    return Footprint(
        found["JSHeapUsedSize"],
        found["Nodes"] - shown["nodes"],
        shown["nodes"],
        found["AudioHandlers"],
        found["JSEventListeners"] - shown["buttons"],
    )


async def watched(page: Page) -> CDPSession:
    """Return a session that can take footprints."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    return session


@asynccontextmanager
async def _browser() -> AsyncIterator[Page]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise StartupError("there is no Chromium; on Debian: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def measure(url: str, replies: int) -> None:
    """Print gaps, what the buffer added, and the first paint."""
    async with _browser() as page:
        wire = Wire(page)
        await page.goto(url)
        paint = await page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
        )
        waits = [await ask(page, wire, f"Question {number}.") for number in range(replies)]
        figures = await stats(page)
    print(f"first paint            {paint if paint is None else round(paint)} ms")
    print(f"replies                {replies}")
    print(f"gaps heard             {figures['underruns']}")
    columns = {"added": 0, "needed of that": 1, "buffer asked for": 2}
    for name, column in columns.items():
        values = [wait[column] for wait in waits]
        half, most = (percentile(values, percent) or 0.0 for percent in (50, 95))
        print(f"{name + ', p50 p95':27}{half:.0f} ms, {most:.0f} ms")
    print(f"buffer at the end      {waits[-1].buffer_ms:.0f} ms")


async def soak(url: str, minutes: float) -> bool:
    """Talk for so long; print the footprint every minute; return whether it stayed flat."""
    async with _browser() as page:
        wire = Wire(page)
        await page.goto(url)
        session = await watched(page)
        for number in range(_WARM_UP):
            await ask(page, wire, f"Warm up {number}.")
        await fill_undo_history(page)
        prints = [await footprint(session)]
        began_s = time.monotonic()
        turns = 0
        while (spent_s := time.monotonic() - began_s) < minutes * 60:
            await (ask if turns % 3 else interrupt)(page, wire, f"Question {turns}.")
            turns += 1
            if spent_s >= 60 * len(prints):
                prints.append(await footprint(session))
                print(f"{len(prints) - 1:3} min, {turns} turns: {prints[-1]}", flush=True)
    return is_flat(prints)


def is_flat(prints: Sequence[Footprint]) -> bool:
    """Whether the second half holds no more than the first: of heap give or take a tenth and 2 MB,
    of nodes and listeners a tenth and 40, of audio nothing.
    """
    half = len(prints) // 2
    if not half:
        return True
    before, after = (
        Footprint(*(max(column) for column in zip(*part, strict=True)))
        for part in (prints[:half], prints[half:])
    )
    return (
        after.heap_bytes <= 1.1 * before.heap_bytes + 2_000_000
        and after.nodes <= 1.1 * before.nodes + 40
        and after.listeners <= 1.1 * before.listeners + 40
        and after.audio_handlers <= before.audio_handlers
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two; the exit code is 0, 1 when memory grew, 2 without a server or browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("replies", "soak"))
    parser.add_argument("--url", help="a page that is served already; else a server is started")
    parser.add_argument("--replies", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of a bad network, each way")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="at most so much off that")
    options = parser.parse_args(arguments)
    try:
        if options.url:
            return asyncio.run(_run(options, options.url))
        with own_server(SETTINGS) as url:
            return asyncio.run(_run(options, url.replace("ws://", "http://")))
    except AntiphonError as exc:
        print(f"bench.web: {exc}", file=sys.stderr)
        return 2


async def _run(options: argparse.Namespace, url: str) -> int:
    if options.what == "soak":
        return 0 if await soak(url, options.minutes) else 1
    if not options.latency_ms and not options.jitter_ms:
        await measure(url, options.replies)
        return 0
    sys.path.insert(0, str(_PROXY))
    chaos = importlib.import_module("chaos_proxy")
    weather = chaos.Weather(latency_ms=options.latency_ms, jitter_ms=options.jitter_ms)
    async with chaos.chaos_proxy(urlsplit(url).port or 80, weather, seed=1) as proxy:
        await measure(f"http://127.0.0.1:{proxy.port}/", options.replies)
    return 0


if __name__ == "__main__":
    sys.exit(main())
