"""The page by axe-core's rules of WCAG 2.2 AA, in the states, themes and sizes people meet."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from scripted_gateway import WEB, ScriptedGateway, answer, ask, finish, talk, tone

pytestmark = pytest.mark.browser

AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 800}}
PAGE_BYTES = 250_000
OPTIONAL = {
    "doctor",
    "recognition",
    "language-model",
    "encoded-capture.js",
    "spectrogram.js",
    "log-mel.js",
    "gpu-log-mel.js",
    "fft.js",
    "latency-view.js",
    "latency.js",
}
"""What the page loads only when it is asked for, and `device.js`, which asks for it."""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core. Skips where it is not installed."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; run: npm --prefix web ci")
    return AXE.read_text(encoding="utf-8")


async def violations(page: Page, axe: str) -> list[str]:
    """Return rule and element of everything that axe finds wrong."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(axe)
    found = await page.evaluate(
        "tags => axe.run(document, { runOnly: { type: 'tag', values: tags } })", TAGS
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(("size", "theme"), [("phone", "light"), ("desktop", "dark")])
async def test_no_state_of_the_page_violates_wcag(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, axe: str, size: str, theme: str
) -> None:
    page: Page = await open_page(
        gateway.url,
        microphone=tone_wav,
        viewport=SIZES[size],
        color_scheme=theme,
        reduced_motion="reduce",
        has_touch=size == "phone",
    )
    found = {"idle": await violations(page, axe)}
    await talk(page, gateway)
    found["listening"] = await violations(page, axe)
    await ask(gateway, "item_u1", "What is that?")
    ids = await answer(gateway, 1, "It is")
    await gateway.send_audio(1, tone(0.3))
    await gateway.send(
        "antiphon.turn.metrics", turn_id="turn_1", response_id="resp_1", voice_to_voice_ms=500,
        steps_ms={"transcript": 300, "audio_sent": 500},
    )  # fmt: skip
    await expect(page.get_by_role("status")).to_have_text("Speaking")
    found["speaking"] = await violations(page, axe)
    await finish(gateway, ids, "It is nothing.", status="incomplete")
    await page.get_by_role("button", name="Details").click()
    await page.locator("#events > summary").click()
    await page.locator("#event-list summary").first.click()
    found["details"] = await violations(page, axe)
    await page.get_by_role("button", name="Close details").click()
    await page.get_by_role("button", name="Settings", exact=True).click()
    for turns in ("server", "push"):
        await page.get_by_label("Your turn ends").select_option(turns)
        found[f"settings {turns}"] = await violations(page, axe)
    update = await gateway.event("session.update")
    error = {"event_id": update["event_id"], "message": "too low", "param": "session"}
    await gateway.send("error", error=error)
    await expect(page.locator("#refused-turns")).to_have_text("too low")
    found["refused"] = await violations(page, axe)
    await page.get_by_role("button", name="Close settings").click()
    await gateway.send("error", error={"message": "Something is wrong"})
    await expect(page.get_by_role("alert")).to_contain_text("Something is wrong")
    await page.get_by_text("Copy, save or clear").click()
    found["alert and menu"] = await violations(page, axe)
    assert {state: faults for state, faults in found.items() if faults} == {}
    width = "document.documentElement.scrollWidth"
    assert await page.evaluate(width) == SIZES[size]["width"]


@pytest.mark.parametrize(("size", "theme"), [("phone", "light"), ("desktop", "dark")])
async def test_the_doctor_does_not_violate_wcag(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, axe: str, size: str, theme: str
) -> None:
    gateway.key = "secret"  # one broken line among good ones
    page: Page = await open_page(
        f"{gateway.url}doctor",
        microphone=tone_wav,
        viewport=SIZES[size],
        color_scheme=theme,
        expected_errors="401|WebSocket connection",
    )
    assert await violations(page, axe) == []
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_role("button", name="Check again")).to_be_enabled(timeout=20_000)
    assert await violations(page, axe) == []
    width = "document.documentElement.scrollWidth"
    assert await page.evaluate(width) == SIZES[size]["width"]


@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("desktop", "light")])
async def test_a_page_that_cannot_talk_does_not_violate_wcag(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, axe: str, size: str, theme: str
) -> None:
    gateway.full = True
    blocked = """navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("no", "NotAllowedError");
    };"""
    page: Page = await open_page(
        gateway.url,
        microphone=tone_wav,
        init_script=blocked,
        viewport=SIZES[size],
        color_scheme=theme,
        reduced_motion="reduce",
        expected_errors="503|WebSocket connection",
    )
    await page.get_by_role("button", name="Talk", exact=True).click()
    await expect(page.locator("#notes")).to_contain_text("The server is full")
    found = {"waiting": await violations(page, axe)}
    gateway.full = False
    await expect(page.get_by_role("alert")).to_contain_text("The microphone is blocked.")
    found["error"] = await violations(page, axe)
    assert found == {"waiting": [], "error": []}
    width = "document.documentElement.scrollWidth"
    assert await page.evaluate(width) == SIZES[size]["width"]


async def test_a_transcript_that_looks_like_markup_stays_text(
    page: Page, gateway: ScriptedGateway
) -> None:
    evil = "<img src=x onerror=\"document.title='broken in'\"><script>alert(1)</script>"
    title = await page.title()
    await talk(page, gateway)
    await gateway.send("antiphon.transcript.partial", item_id="item_u1", stable=evil, unstable=evil)
    await ask(gateway, "item_u1", evil)
    ids = await answer(gateway, 1, evil)
    await gateway.send_audio(1, tone(0.2))
    await finish(gateway, ids, evil)
    await gateway.send("error", error={"message": evil})
    await expect(page.locator("#log .assistant p")).to_have_text(evil)
    await expect(page.locator("#log .user p")).to_have_text(evil)
    await expect(page.get_by_role("alert")).to_contain_text(evil)
    await expect(page.locator("#log img, #log script, #problem img")).to_have_count(0)
    assert await page.title() == title


async def test_the_hint_of_a_key_is_hidden_from_fingers(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path
) -> None:
    page: Page = await open_page(
        gateway.url, microphone=tone_wav, viewport=SIZES["phone"], has_touch=True, is_mobile=True
    )
    await talk(page, gateway)
    await expect(page.get_by_role("button", name="End", exact=True)).to_be_visible()
    await expect(page.locator("#end kbd")).to_be_hidden()


def test_the_page_is_small_and_has_no_inline_script_or_style() -> None:
    for name in ("index.html", "doctor.html"):
        html = (WEB / name).read_text(encoding="utf-8")
        assert "<style" not in html
        assert " style=" not in html
        assert html.count("<script") == html.count('<script type="module" src=')
    sources = [path for path in (WEB / "src").rglob("*") if path.is_file()]
    loaded = [
        path
        for path in sources
        if path.name == "device.js" or not {path.name, path.parent.name} & OPTIONAL
    ]
    sizes = [path.stat().st_size for path in (WEB / "index.html", *loaded)]
    assert sum(sizes) < PAGE_BYTES


@pytest.mark.parametrize(("size", "theme"), [("phone", "dark"), ("desktop", "light")])
async def test_the_offer_of_a_better_model_does_not_violate_wcag(
    open_page: Any, gateway: ScriptedGateway, tone_wav: Path, axe: str, size: str, theme: str
) -> None:
    long = {"url": "", "title": "a-model-with-a-long-name:" + "8x22b-instruct-" * 3, "server": "a"}
    offers = [{**long, "name": str(number), "size_bytes": 10**10} for number in range(2)]
    answers = {"engine": "llamacpp", "model": "m", "demonstration": True}
    change = {**offers[0], "state": "fetching", "problem": "", "keep": ""}
    change |= {"done_bytes": 10**9, "total_bytes": 10**10}
    told = {"answers": answers, "can_switch": True, "offers": offers, "proposal": None}
    gateway.catalogue["owner"] = True
    gateway.language_model = {**told, "change": None}
    page: Page = await open_page(
        gateway.url,
        microphone=tone_wav,
        viewport=SIZES[size],
        color_scheme=theme,
        reduced_motion="reduce",
    )
    await expect(page.locator("#offer")).to_contain_text("A on this machine has better ones.")
    found = {"offered": await violations(page, axe)}
    width = "document.documentElement.scrollWidth"
    assert await page.evaluate(width) == SIZES[size]["width"]
    await page.get_by_role("button", name="Settings", exact=True).click()
    gateway.language_model = {**told, "change": change}
    await page.locator("#set-model").select_option(index=1)
    await page.locator("#model-use").click()
    await expect(page.locator("#model-figures")).to_have_text("1.0 GB of 10.0 GB")
    found["fetching"] = await violations(page, axe)
    assert found == {"offered": [], "fetching": []}
    assert await page.evaluate(width) == SIZES[size]["width"]
