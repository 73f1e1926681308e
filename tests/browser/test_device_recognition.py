"""Recognition on this device: real Moonshine in Chromium, a human voice, no STT worker."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from held_microphone import held_microphone
from playwright.async_api import Page, WebSocket, expect
from scripted_gateway import ScriptedGateway, stats, talk
from system import GATEWAY, SIMULATED, System, system, worker_names
from system_client import MIC_HZ, silence, speech

from antiphon_proto import models
from antiphon_proto.audio import write_wav
from antiphon_proto.config import Config

pytestmark = [
    pytest.mark.browser,
    pytest.mark.integration,
    pytest.mark.models,
    pytest.mark.timeout(180),
]

LOADING_MS = 90_000
NEEDED = ("moonshine-tiny-en", "onnxruntime-web")
WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)


@pytest.fixture(scope="module")
def server_without_stt() -> Iterator[System]:
    """A gateway, a language model and a voice; nobody there makes words of sound."""
    manifest, cache = models.manifest(), Config().models.directory
    if not all(models.is_installed(manifest[name], cache) for name in NEEDED):
        pytest.skip("not installed; run: antiphon models pull moonshine-tiny-en")
    with system(SIMULATED) as server:
        server.start(GATEWAY, *worker_names({"llm": 1, "tts": 1}))
        server.wait_for(lambda: others_are_ready(server), 30)
        yield server
        server.assert_no_traceback()


def others_are_ready(server: System) -> bool:
    answer = server.get("/readyz")
    stages = answer.json()["stages"] if answer else {}
    return all(stages.get(stage, {}).get("ready") for stage in ("llm", "tts"))


def chosen(compute: str) -> str:
    return f"""localStorage.setItem(
      "antiphon.settings", '{{"recognise": "device", "compute": "{compute}"}}');"""


def recorded(path: Path) -> Path:
    write_wav(path, silence(1.0) + speech("turn_on_lamp") + silence(3), MIC_HZ)
    return path


async def test_a_question_is_recognised_here_and_only_its_words_leave(
    server_without_stt: System, open_page: Any, tmp_path: Path
) -> None:
    # The microphone plays while the model still loads: what was said then is heard afterwards.
    wav = recorded(tmp_path / "question.wav")
    page: Page = await open_page(server_without_stt.url, microphone=wav, init_script=chosen("wasm"))
    sent: list[str | bytes] = []

    def follow(socket: WebSocket) -> None:
        socket.on("framesent", lambda message: sent.append(message))

    page.on("websocket", follow)
    await page.get_by_role("button", name="Talk", exact=True).click()
    asked = page.locator("#log .user p")
    await expect(asked).to_contain_text("living room lamp", timeout=LOADING_MS)
    await expect(page.locator("#device-state")).to_contain_text("Ready on this device (WASM)")
    answered = page.locator("#log .assistant p")
    await expect(answered).to_contain_text("simulated reply", timeout=20_000)
    assert (await asked.inner_text()).strip(" .") == "Turn on the living room lamp"
    while not (await stats(page))["playedSamples"]:
        await page.wait_for_timeout(50)
    assert (await stats(page))["framesSent"] == 0
    assert not any(isinstance(message, bytes) for message in sent)
    assert any('"input_text"' in str(message) for message in sent)
    await page.get_by_role("button", name="Details").click()
    table = page.get_by_role("table", name="Turn 1")
    for part in ("pause (this device)", "your words (this device)", "the server's answer"):
        await expect(table.get_by_role("row", name=part)).to_be_visible()


async def test_what_is_said_while_the_button_is_held_is_recognised_here(
    server_without_stt: System, open_page: Any, tmp_path: Path
) -> None:
    write_wav(wav := tmp_path / "held.wav", speech("turn_on_lamp"), MIC_HZ)
    settings = {"recognise": "device", "compute": "wasm", "turns": "push"}
    script = f"localStorage.setItem('antiphon.settings', '{json.dumps(settings)}');"
    page: Page = await open_page(
        server_without_stt.url, microphone=wav, init_script=held_microphone(wav) + script
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#device-state")).to_contain_text("Ready", timeout=LOADING_MS)
    status = page.get_by_role("status")
    await expect(status).to_have_text("Hold the button to talk")
    await page.evaluate("() => window.speak()")
    await page.wait_for_timeout(len(speech("turn_on_lamp")) * 1000 // (2 * MIC_HZ) + 1_000)
    asked = page.locator("#log .user p")
    await expect(asked).to_have_count(0)
    await page.keyboard.down("Space")
    await page.evaluate("() => window.speak()")
    await expect(status).to_have_text("Listening")
    await page.wait_for_timeout(len(speech("turn_on_lamp")) * 1000 // (2 * MIC_HZ) + 300)
    await page.keyboard.up("Space")
    await expect(asked).to_contain_text("living room lamp", timeout=LOADING_MS)
    await expect(asked).to_have_count(1)
    await expect(page.locator("#log .assistant p")).to_contain_text("simulated reply")
    assert (await stats(page))["framesSent"] == 0


async def test_without_webgpu_the_processor_does_it_and_the_page_says_so(
    server_without_stt: System, open_page: Any, tmp_path: Path
) -> None:
    wav = recorded(tmp_path / "question.wav")
    page: Page = await open_page(
        server_without_stt.url, microphone=wav, init_script=chosen("webgpu")
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    state = page.locator("#device-state")
    await expect(state).to_contain_text("no WebGPU here", timeout=LOADING_MS)
    await expect(state).to_contain_text("Ready on this device (WASM)")


async def test_a_graphics_card_that_cannot_run_the_model_leaves_it_to_the_processor(
    server_without_stt: System, open_page: Any, tmp_path: Path
) -> None:
    page: Page = await open_page(
        server_without_stt.url,
        microphone=recorded(tmp_path / "question.wav"),
        init_script=chosen("webgpu"),
        flags=WEBGPU,
    )
    assert await page.evaluate("async () => Boolean(await navigator.gpu.requestAdapter())")
    await page.get_by_role("button", name="Talk", exact=True).click()
    state = page.locator("#device-state")
    await expect(state).to_contain_text("WebGPU cannot run this model's files", timeout=LOADING_MS)
    await expect(state).to_contain_text("Ready on this device (WASM)")
    asked = page.locator("#log .user p")
    await expect(asked).to_contain_text("living room lamp", timeout=LOADING_MS)


async def test_a_graphics_card_that_is_never_ready_is_given_up(
    server_without_stt: System, open_page: Any, tmp_path: Path
) -> None:
    page: Page = await open_page(
        server_without_stt.url,
        microphone=recorded(tmp_path / "question.wav"),
        init_script=chosen("webgpu"),
        flags=WEBGPU,
    )
    asked_for = asyncio.Event()
    await page.context.route("**/ort.webgpu.min.mjs", lambda _: asked_for.set())
    await page.clock.install()
    await page.get_by_role("button", name="Talk", exact=True).click()
    async with asyncio.timeout(LOADING_MS / 1000):
        await asked_for.wait()
    state = page.locator("#device-state")
    await expect(state).to_contain_text("Loading")
    await page.clock.fast_forward(31_000)
    await expect(state).to_contain_text("Ready on this device (WASM)", timeout=LOADING_MS)


async def test_a_server_without_the_model_says_how_to_get_it(
    page: Page, gateway: ScriptedGateway
) -> None:
    await page.get_by_role("button", name="Settings", exact=True).click()
    await page.get_by_label("Recognise on").select_option("device")
    await expect(page.get_by_text("antiphon models pull moonshine-tiny-en")).to_be_visible()
    await page.get_by_role("button", name="Close settings").click()
    await talk(page, gateway)
    await gateway.received_frames(5)
