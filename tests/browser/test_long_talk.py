"""A long talk and a bad network, shortened: `make soak-web` and `make bench-web` do it in full."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos_proxy import Weather, chaos_proxy
from playwright.async_api import Page
from system import SIMULATED, System, running_system

from bench.web import Footprint, Wire, ask, footprint, interrupt, is_flat, stats, watched

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(120)]

REPLY = "This is it. It has two sentences."


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system({**SIMULATED, "simulated.reply": REPLY}) as system:
        yield system
        system.assert_no_traceback()


@pytest.mark.thorough
async def test_memory_stays_flat_over_many_interrupted_replies(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    page: Page = await open_page(server.url, microphone=tone_wav)
    wire = Wire(page)
    session = await watched(page)
    await ask(page, wire, "Begin.")
    prints = []
    for turn in range(24):
        await interrupt(page, wire, f"Question {turn}.")
        if turn % 4 == 3:
            prints.append(await footprint(session))
    assert is_flat(prints), prints
    assert len({one.audio_handlers for one in prints}) == 1, prints


async def test_over_a_jittering_network_every_reply_is_played_whole(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    weather = Weather(latency_ms=100, jitter_ms=90)
    async with chaos_proxy(server.port, weather, seed=3) as proxy:
        page: Page = await open_page(f"http://127.0.0.1:{proxy.port}/", microphone=tone_wav)
        wire = Wire(page)
        waits = [await ask(page, wire, f"Question {turn}.") for turn in range(3)]
        figures = await stats(page)
        await page.close()  # before the network it would ask for its session again
    assert wire.begun == 3
    assert figures["droppedSamples"] == 0
    assert figures["playedSamples"] > 3 * 12_000
    # The network's jitter was seen, and what the next reply waits for follows from it.
    assert 80 < waits[-1].buffer_ms <= 300
    assert all(wait.added_ms >= 0 and wait.needed_ms >= 0 for wait in waits)
    if not figures["underruns"]:
        assert all(wait.added_ms >= wait.needed_ms for wait in waits)


def test_what_grows_is_seen() -> None:
    def prints(*megabytes: int, nodes: int = 100, handlers: int = 5) -> list[Footprint]:
        return [Footprint(size * 1_000_000, nodes, 9_000, handlers, 10) for size in megabytes]

    assert is_flat(prints(10, 12, 11, 12))
    assert not is_flat(prints(10, 12, 15, 18))
    assert not is_flat([*prints(10, 10), *prints(10, 10, handlers=6)])
    assert not is_flat([*prints(10, 10), *prints(10, 10, nodes=160)])
