"""A better language model is offered, fetched and switched to, while the conversation goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_servers import ModelServer
from playwright.async_api import Page, expect
from scripted_gateway import ScriptedGateway
from ups import Up, up

pytestmark = pytest.mark.browser

DESKTOP = {"width": 1280, "height": 800}
PATIENCE_MS = 60_000
OLLAMA = "http://127.0.0.1:11434"


@pytest.fixture(scope="module")
def server(model_server: ModelServer) -> Iterator[Up]:
    """Everything simulated but the language model, which is the one that comes along."""
    settings = ["stt.engine=simulated", "tts.engine=simulated", "llm.max_output_tokens=12"]
    flags = [part for setting in settings for part in ("--set", setting)]
    with up(*flags, **model_server.environment) as running:
        yield running


def state(**changes: Any) -> dict[str, Any]:
    """Return what a server says that answers with the model for demonstration."""
    return {
        "answers": {"engine": "llamacpp", "model": "smollm2-135m", "demonstration": True},
        "can_switch": True,
        "offers": [],
        "proposal": None,
        "change": None,
        **changes,
    }


PROPOSAL = {
    "name": "ollama:qwen3:4b-instruct",
    "url": OLLAMA,
    "title": "Qwen3 4B",
    "size_bytes": 2_497_281_120,
    "licence": "Apache-2.0",
}


def change(state_: str, done_bytes: int = 0, **more: str) -> dict[str, Any]:
    return {
        "name": PROPOSAL["name"],
        "url": OLLAMA,
        "state": state_,
        "done_bytes": done_bytes,
        "total_bytes": PROPOSAL["size_bytes"],
        "problem": "",
        "keep": "",
        **more,
    }


async def say(page: Page, text: str) -> None:
    """Write a message, and wait for its answer."""
    before = await page.locator("#log .assistant").count()
    await page.get_by_label("Your message").fill(text)
    await page.keyboard.press("Enter")
    answer = page.locator("#log .assistant").nth(before)
    await expect(answer).to_be_visible(timeout=PATIENCE_MS)
    await expect(answer).not_to_have_attribute("aria-hidden", "true", timeout=PATIENCE_MS)


@pytest.mark.integration
@pytest.mark.models
@pytest.mark.timeout(180)
async def test_one_click_switches_and_the_next_answer_comes_from_the_other_model(
    open_page: Any, server: Up, model_server: ModelServer, tone_wav: Path
) -> None:
    page: Page = await open_page(server.url, microphone=tone_wav, viewport=DESKTOP)
    offer = page.get_by_role("region", name="A better language model")
    await expect(offer).to_contain_text("Ollama on this machine has better ones")
    await say(page, "My name is Ada.")
    await offer.get_by_role("button", name="Switch").click()
    await expect(offer).to_contain_text("smollm2:135m answers from now on.", timeout=PATIENCE_MS)
    await offer.get_by_role("button", name="OK").click()
    await expect(offer).to_be_hidden()
    await say(page, "What is my name?")
    asked = model_server.conversations()
    assert any({"My name is Ada.", "What is my name?"} <= set(contents) for contents in asked)
    await expect(page.locator("#log .user p").first).to_have_text("My name is Ada.")
    await page.get_by_role("button", name="Settings", exact=True).click()
    await expect(page.get_by_text("smollm2:135m answers now.")).to_be_visible()
    await expect(page.locator("#model-lines")).to_contain_text('engine = "ollama"')


async def test_a_proposal_says_size_and_licence_and_shows_how_far_it_is(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.catalogue["owner"] = True
    gateway.language_model = state(proposal=PROPOSAL)
    page: Page = await open_page(gateway.url, microphone=tone_wav)
    offer = page.get_by_role("region", name="A better language model")
    await expect(offer).to_contain_text("Qwen3 4B (2.5 GB to fetch, licence Apache-2.0)")
    gateway.language_model = state(proposal=PROPOSAL, change=change("fetching", 624_320_280))
    await offer.get_by_role("button", name="Fetch it and switch").click()
    await expect(offer).to_contain_text("624 MB of 2.5 GB")
    assert gateway.language_model_asked == [
        ("POST", {"name": PROPOSAL["name"], "url": PROPOSAL["url"]})
    ]
    bar = offer.get_by_role("progressbar")
    assert await bar.evaluate("bar => bar.value") == pytest.approx(0.25)
    await offer.get_by_role("button", name="Stop").click()
    gateway.language_model = state(proposal=PROPOSAL, change=change("stopped"))
    await expect(offer).to_contain_text("Stopped.")
    assert gateway.language_model_asked[1] == ("DELETE", {})
    await offer.get_by_role("button", name="OK").click()
    await expect(offer).to_contain_text("Qwen3 4B (2.5 GB to fetch")
    await offer.get_by_role("button", name="Not now").click()
    await expect(offer).to_be_hidden()
    await page.reload()
    await page.get_by_role("button", name="Settings", exact=True).click()
    await expect(page.get_by_text("smollm2-135m answers now")).to_be_visible()
    await expect(offer).to_be_hidden()
    await expect(page.get_by_label("Answer with")).to_contain_text("Qwen3 4B")


async def test_a_switch_that_fails_says_why_and_who_answers(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.catalogue["owner"] = True
    gateway.language_model = state(proposal=PROPOSAL, change=change("switching"))
    page: Page = await open_page(gateway.url, microphone=tone_wav)
    offer = page.get_by_role("region", name="A better language model")
    await expect(offer).to_contain_text("Switching to Qwen3 4B.")
    problem = "the hub cannot be reached <img src=x>"
    gateway.language_model = state(proposal=PROPOSAL, change=change("failed", problem=problem))
    await expect(offer).to_contain_text(problem)
    await expect(offer).to_contain_text("the model before goes on")


async def test_whoever_may_not_change_the_server_is_not_asked(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    gateway.language_model = state(proposal=PROPOSAL)
    page: Page = await open_page(gateway.url, microphone=tone_wav)
    await page.get_by_role("button", name="Settings", exact=True).click()
    await expect(page.get_by_text("smollm2-135m answers now")).to_be_hidden()
    await expect(page.locator("#offer")).to_be_hidden()
