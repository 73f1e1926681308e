"""Fetching a language model from a hub: checked, gone on with after a cut, refused when wrong."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from antiphon import models_fetch
from antiphon.pull_progress import JsonProgress
from antiphon_proto.errors import StartupError
from antiphon_proto.models import ModelEntry, ModelFile, is_installed

CONTENT = bytes(range(256)) * 16_384
PATH = "/some/model/resolve/abc/sub/model.q4.gguf"


class Hub(ThreadingHTTPServer):
    """Serves one file, with ranges; `cut_at` bytes into an answer the connection is lost."""

    cut_at: int | None = None
    content = CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        if self.path != PATH:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        body = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut_at])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def entry(member: str = "sub/model.q4.gguf") -> ModelEntry:
    digest = hashlib.sha256(CONTENT).hexdigest()
    file = ModelFile("model.gguf", member, len(CONTENT), digest)
    return ModelEntry("big", "test", "some/model", "abc", "MIT", (file,), source="hub")


def pull(cache: Path, hub_url: str, wanted: ModelEntry | None = None) -> None:
    models_fetch.fetch(wanted or entry(), cache, JsonProgress(), hub_url)


def test_a_file_of_a_hub_arrives_with_its_progress(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull(tmp_path, hub.url)
    assert is_installed(entry(), tmp_path)
    assert (tmp_path / "big" / "model.gguf").read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == [".big.lock", "big"]
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["doing"], first["total_bytes"]) == ("big", len(CONTENT))


def test_a_download_that_was_cut_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.cut_at = 3_000_000
    with pytest.raises(StartupError, match="goes on where it was"):
        pull(tmp_path, hub.url)
    assert not is_installed(entry(), tmp_path)
    hub.cut_at = None
    pull(tmp_path, hub.url)
    assert is_installed(entry(), tmp_path)
    assert hub.ranges == [None, "bytes=3000000-"]


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT + b"x"], ids=["other", "longer"])
def test_a_file_unlike_the_manifest_is_not_installed_and_not_kept(
    hub: Hub, tmp_path: Path, content: bytes
) -> None:
    hub.content = content
    with pytest.raises(StartupError, match=r"model\.gguf differs in size or sha256"):
        pull(tmp_path, hub.url)
    assert [path.name for path in tmp_path.iterdir()] == [".big.lock"]


def test_a_hub_that_does_not_have_it_is_told_with_its_address(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"other answers 404 .*models\.hub_url"):
        pull(tmp_path, hub.url, entry("other"))


def test_without_a_network_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"127\.0\.0\.1:9 cannot be reached .*models pull big"):
        pull(tmp_path, "http://127.0.0.1:9")
