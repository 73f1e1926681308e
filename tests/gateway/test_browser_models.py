"""The model files that pages may fetch: which, how long they are kept, and what may run them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from antiphon_gateway import app, browser_models
from antiphon_gateway.browser_models import BrowserModels
from antiphon_proto import models
from antiphon_proto.models import ModelEntry, ModelFile


def entry(name: str, version: str, files: dict[str, bytes], *, browser: bool) -> ModelEntry:
    listed = tuple(ModelFile(file, file, len(content), "") for file, content in files.items())
    return ModelEntry(name, "", name, version, "MIT", listed, browser=browser)


FILES = {
    "moonshine-tiny-en": ("0.0.62", {"tokenizer.bin": b"tokens"}),
    "onnxruntime-web": ("1.30.0", {"ort.mjs": b"export {}", "ort.wasm": b"wasm"}),
    "silero-vad": ("6.2.3", {"silero.onnx": b"onnx"}),
    "smollm2-135m": ("1", {"model.gguf": b"secret"}),
}


@pytest.fixture
async def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    manifest = {
        name: entry(name, version, files, browser=name != "smollm2-135m")
        for name, (version, files) in FILES.items()
    }
    monkeypatch.setattr(models, "manifest", lambda: manifest)
    for name, (_, files) in FILES.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
    application = web.Application()
    BrowserModels(tmp_path).add_routes(application.router)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("onnxruntime-web/1.30.0/ort.mjs", "text/javascript"),
        ("onnxruntime-web/1.30.0/ort.wasm", "application/wasm"),
        ("moonshine-tiny-en/0.0.62/tokenizer.bin", "application/octet-stream"),
    ],
)
async def test_files_for_browsers_are_kept_for_ever(url: str, path: str, kind: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/models/{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "smollm2-135m/1/model.gguf",
        "moonshine-tiny-en/0.0.61/tokenizer.bin",
        "moonshine-tiny-en/0.0.62/other.bin",
        "moonshine-tiny-en/0.0.62/..%2F..%2Fsmollm2-135m%2Fmodel.gguf",
        "nothing/1/file",
    ],
)
async def test_nothing_else_is_served(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as http:
        target = URL(f"{url}/models/{path}", encoded=True)
        async with http.get(target) as answer:
            assert answer.status == 404


def test_recognition_is_offered_when_everything_is_there(tmp_path: Path) -> None:
    assert BrowserModels(tmp_path).device_recognition() is None
    manifest = models.manifest()
    for name in (browser_models.RECOGNISER, browser_models.RUNTIME, browser_models.DETECTOR):
        (tmp_path / name).mkdir()
        for file in manifest[name].files:
            with (tmp_path / name / file.name).open("wb") as stream:
                stream.truncate(file.bytes)
    assert BrowserModels(tmp_path).device_recognition() == {
        "model": "/models/moonshine-tiny-en/0.0.62/",
        "runtime": "/models/onnxruntime-web/1.30.0/",
        "detector": "/models/silero-vad/6.2.3/",
    }


def test_only_the_recogniser_may_compile_webassembly() -> None:
    assert "wasm" not in app._PAGE_HEADERS["Content-Security-Policy"]
    assert app._RECOGNISER.startswith("/src/recognition/")
    assert (app.page_directory() / app._RECOGNISER.lstrip("/")).is_file()
