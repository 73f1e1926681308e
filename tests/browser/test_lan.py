"""`antiphon up --lan` with real TLS: another address of loopback stands for the local network."""

import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from playwright.async_api import Page, expect
from ports import free_port
from system_client import MIC_HZ, silence, speech

from antiphon_proto.audio import write_wav

pytestmark = [pytest.mark.browser, pytest.mark.integration]

ADDRESS = "127.0.0.2"


class Home(NamedTuple):
    """A server that others can reach."""

    link: str
    key: str
    localhost: str
    certificate: Path
    output: str


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    port, lan_port = free_port(), free_port()
    kept, runtime = tmp_path_factory.mktemp("kept"), tmp_path_factory.mktemp("r")
    settings = [f"lan.addresses={ADDRESS}", f"lan.port={lan_port}", f"lan.directory={kept}"]
    settings += [f"gateway.port={port}", f"bus.runtime_dir={runtime}"]
    command = [sys.executable, "-m", "antiphon", "up", "--lan", "--simulated"]
    command += [part for setting in settings for part in ("--set", setting)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    output = ""
    for line in process.stdout:
        output += line
        if "make run" in line:
            break
    try:
        link = re.search(rf"https://{ADDRESS}:{lan_port}/#key=(\S+)", output)
        assert link, output
        yield Home(link[0], link[1], f"http://localhost:{port}", kept / "certificate.pem", output)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
    assert process.returncode == 0


async def test_the_link_lets_another_device_talk_and_nothing_else_does(
    home: Home, open_page: Any, tmp_path: Path
) -> None:
    assert "▄" in home.output
    base = home.link.partition("#")[0]
    realtime = f"{base}v1/realtime"
    trusted = ssl.create_default_context(cafile=str(home.certificate))
    origin = {"Origin": base.rstrip("/")}
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(realtime, ssl=trusted, headers=origin)
        assert refused.value.status == 401
        good = {**origin, "Authorization": f"Bearer {home.key}"}
        async with http.ws_connect(realtime, ssl=trusted, headers=good) as socket:
            assert (await socket.receive_json())["type"] == "session.created"
        async with http.get(base, ssl=trusted) as answer:
            assert "Strict-Transport-Security" not in answer.headers
        async with http.get(f"{base}v1/status", ssl=trusted, headers=origin) as answer:
            assert answer.status == 401
        with pytest.raises(aiohttp.ClientError):
            await http.get(base.replace("https:", "http:"))
        async with http.ws_connect(f"{home.localhost}/v1/realtime") as socket:
            assert (await socket.receive_json())["type"] == "session.created"

    wav = tmp_path / "question.wav"
    write_wav(wav, silence(1.0) + speech("what_time_is_it") + silence(5), MIC_HZ)
    page: Page = await open_page(home.link, microphone=wav, ignore_https_errors=True)
    assert page.url == base
    assert await page.evaluate("localStorage.getItem('antiphon.key')") == home.key
    assert await page.evaluate("isSecureContext")
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#log .assistant p")).to_contain_text("This tone", timeout=15_000)
    await page.reload()
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
