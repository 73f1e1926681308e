"""The page loses its connection, or its server, in the middle of a reply: nobody hears of it."""

import asyncio
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from chaos_proxy import ChaosProxy, chaos_proxy
from playwright.async_api import Page, WebSocket, expect
from resuming_client import assert_is_speech_of
from scripted_gateway import stats
from system import GATEWAY, System
from talkative_system import talkative

from antiphon_proto import frames
from antiphon_proto.frames import MicrophoneFrame

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.timeout(120)]

REPLY = "This reply is long enough to be cut. Here is the rest."
LOST = r"WebSocket connection|Failed to load resource|ERR_CONNECTION"


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with talkative({"simulated.reply": REPLY}) as system:
        yield system


class Wire:
    """What went over the page's sockets, one after the other."""

    def __init__(self, page: Page) -> None:
        self.events: list[dict[str, Any]] = []
        self.audio: list[tuple[int, bytes]] = []
        """First sample and PCM16 of each frame of the reply."""
        self.microphone: list[list[int]] = []
        """Of each socket the sequence numbers of the frames sent."""
        self.heard_before: list[int] = []
        """How many frames had come whenever the session was resumed."""
        self.page = page
        page.on("websocket", self._follow)

    def _follow(self, socket: WebSocket) -> None:
        sent: list[int] = []
        self.microphone.append(sent)
        socket.on("framereceived", self._received)
        socket.on("framesent", lambda payload: self._sent(payload, sent))

    def _received(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self.events.append(event := json.loads(payload))
            if event["type"] == "antiphon.resumed":
                self.heard_before.append(len(self.audio))
        else:
            frame = frames.decode(payload)
            self.audio.append((frame.timestamp, frame.pcm))

    def _sent(self, payload: str | bytes, sent: list[int]) -> None:
        if isinstance(payload, bytes):
            frame: MicrophoneFrame = frames.decode_microphone(payload)
            sent.append(frame.seq)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await self.page.wait_for_timeout(10)

    async def until(self, kind: str, count: int = 1) -> None:
        await self.wait_for(lambda: len(self.of_type(kind)) >= count)

    async def hear(self, audio_frames: int) -> None:
        await self.wait_for(lambda: len(self.audio) >= audio_frames)


async def opened(open_page: Any, proxy: ChaosProxy, microphone: Path) -> tuple[Page, Wire]:
    url = f"http://127.0.0.1:{proxy.port}/"
    page: Page = await open_page(url, microphone=microphone, expected_errors=LOST)
    return page, Wire(page)


async def ask(page: Page) -> None:
    await page.get_by_label("Your message").fill("Say a lot.")
    await page.keyboard.press("Enter")


async def assert_heard_whole_and_once(page: Page, wire: Wire) -> None:
    await wire.until("response.done")
    assert 0 < wire.heard_before[0] < len(wire.audio)
    async with asyncio.timeout(30):
        # Idle is also what the page is before it plays: on a busy machine the end may come first.
        while (figures := await stats(page))["state"] != "idle" or not figures["playedSamples"]:
            await page.wait_for_timeout(50)
    for (first, pcm), (following, _) in pairwise(wire.audio):
        assert following == first + len(pcm) // 2
    spoken = b"".join(pcm for _, pcm in wire.audio)
    assert (figures["playedSamples"], figures["droppedSamples"]) == (len(spoken) // 2, 0)
    clauses = [event["delta"] for event in wire.of_type("response.output_audio_transcript.delta")]
    assert "".join(clauses) == REPLY
    assert_is_speech_of(spoken, wire.of_type("session.created")[0]["session"]["id"], clauses)
    await expect(page.locator("#log .assistant p")).to_have_text(REPLY)
    await expect(page.locator("#log .user p")).to_have_text("Say a lot.")
    await expect(page.get_by_text("interrupted")).to_have_count(0)
    assert len(wire.of_type("session.created")) == 1


async def test_a_reply_is_played_whole_and_once_though_the_link_is_cut(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    async with chaos_proxy(server.port) as proxy:
        page, wire = await opened(open_page, proxy, tone_wav)
        await ask(page)
        await wire.hear(3)
        proxy.blackout(refuse=True)
        assert proxy.reset()
        note = page.get_by_text("the page is getting it back")
        await expect(note).to_be_visible()
        proxy.light()
        await wire.until("antiphon.resumed")
        await expect(note).to_be_hidden()
        proxy.reset()
        await wire.until("antiphon.resumed", 2)
        await assert_heard_whole_and_once(page, wire)


async def test_the_microphone_is_sent_again_from_where_the_server_lost_it(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    async with chaos_proxy(server.port) as proxy:
        page, wire = await opened(open_page, proxy, tone_wav)
        await page.get_by_role("button", name="Talk", exact=True).click()
        await wire.wait_for(lambda: bool(wire.microphone) and len(wire.microphone[0]) >= 10)
        proxy.reset()
        await wire.until("antiphon.resumed")
        await wire.wait_for(lambda: len(wire.microphone[-1]) >= 5)
        resumed = wire.of_type("antiphon.resumed")[0]
        sent = wire.microphone[-1]
        assert sent == list(range(resumed["last_frame"] + 1, sent[-1] + 1))


async def test_a_reply_is_played_whole_and_once_though_the_server_is_killed(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    async with chaos_proxy(server.port) as proxy:
        page, wire = await opened(open_page, proxy, tone_wav)
        await ask(page)
        await wire.hear(3)
        await asyncio.to_thread(server.kill, GATEWAY)
        await asyncio.to_thread(server.start, GATEWAY)
        await wire.until("antiphon.resumed")
        await assert_heard_whole_and_once(page, wire)


async def test_a_reply_is_heard_whole_before_a_server_that_stops_leaves_and_the_talk_goes_on(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    async with chaos_proxy(server.port) as proxy:
        page, wire = await opened(open_page, proxy, tone_wav)
        await ask(page)
        await wire.hear(3)
        server.signal(GATEWAY, signal.SIGTERM)
        assert await asyncio.to_thread(server.wait_ended, GATEWAY) == 0
        assert len(wire.of_type("response.done")) == 1
        await asyncio.to_thread(server.start, GATEWAY)
        await wire.until("antiphon.resumed")
        await ask(page)
        await wire.until("response.done", 2)
        await expect(page.locator("#log .assistant p")).to_have_text([REPLY, REPLY])
        assert len(wire.of_type("session.created")) == 1


async def test_a_session_that_is_gone_is_followed_by_a_new_one_that_says_so(
    open_page: Any, server: System, tone_wav: Path
) -> None:
    async with chaos_proxy(server.port) as proxy:
        page, wire = await opened(open_page, proxy, tone_wav)
        await ask(page)
        await wire.hear(3)
        await asyncio.to_thread(server.kill, GATEWAY)
        shutil.rmtree(server.directory / "run" / "sessions")
        await asyncio.to_thread(server.start, GATEWAY)
        await expect(page.get_by_text("could not be resumed")).to_be_visible()
        await expect(page.locator("#log .user p")).to_have_text("Say a lot.")
        assert len(wire.of_type("session.created")) == 2
