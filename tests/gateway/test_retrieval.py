"""The retrievers: a folder, an HTTP hook, packages; what they may not do."""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from antiphon_gateway.retrieval import folder, service
from antiphon_gateway.retrieval.folder import FolderRetriever, passages_of, words_of
from antiphon_gateway.retrieval.http_hook import HookFailed, HttpRetriever
from antiphon_gateway.retrieval.passage import GROUP, MAX_TEXT_CHARACTERS, Passage
from antiphon_gateway.retrieval.service import MAX_RUNNING, RetrievalService
from antiphon_proto.config import Retrieval
from antiphon_proto.errors import StartupError


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "deep").mkdir(parents=True)
    (folder / "boiler.md").write_text("# Boiler\n\nThe boiler is a Tetra 9.\n\nIt hums in March.")
    (folder / "deep" / "garden.txt").write_text("The roses are watered on Tuesdays.")
    (folder / "ignored.pdf").write_text("boiler boiler boiler")
    secret = tmp_path / "secret.txt"
    secret.write_text("The password is swordfish.")
    (folder / "link.txt").symlink_to(secret)
    return folder


def test_the_passage_with_the_words_of_the_question_is_found(documents: Path) -> None:
    found = FolderRetriever(Retrieval(folder=str(documents)))
    assert found.retrieve("Which day is the rose bed watered?", 3) == [
        Passage("deep/garden.txt", "The roses are watered on Tuesdays.")
    ]
    [boiler] = found.retrieve("What boilers do I have?", 3)
    assert boiler.source == "boiler.md"
    assert found.retrieve("What is the password of the swordfish?", 3) == []
    assert found.retrieve("the of and", 3) == []
    assert found.retrieve("", 3) == []


def test_a_folder_is_read_again_when_it_changes(
    documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LOOK_AGAIN_S", 0.0)
    found = FolderRetriever(Retrieval(folder=str(documents)))
    assert found.retrieve("zebra", 1) == []
    (documents / "zoo.md").write_text("The zebra sleeps.")
    assert [passage.source for passage in found.retrieve("zebra", 1)] == ["zoo.md"]
    (documents / "zoo.md").write_text("The lion sleeps.")
    os.utime(documents / "zoo.md", ns=(1, 1))
    assert found.retrieve("zebra", 1) == []
    for path in documents.rglob("*.*"):
        path.unlink()
    assert found.retrieve("lion", 1) == []


def test_long_paragraphs_are_cut_at_spaces_and_nothing_is_lost() -> None:
    text = "word " * 1_000 + "\n\n" + "x" * 1_500
    parts = list(passages_of(text))
    assert all(len(part) <= MAX_TEXT_CHARACTERS for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert words_of("The Boilers, and a boiler!") == ["boiler", "boiler"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Retrieval(engine="folder", folder="/nowhere"), "retrieval.folder is '/nowhere'"),
        (Retrieval(engine="folder"), "retrieval.folder is ''"),
        (Retrieval(engine="http", url="file:///etc/passwd"), "retrieval.url is 'file:///etc"),
        (Retrieval(engine="nobody"), "there is no retriever nobody; .*folder, http"),
    ],
)
def test_a_retriever_that_cannot_be_stops_the_start(settings: Retrieval, text: str) -> None:
    with pytest.raises(StartupError, match=text):
        RetrievalService(settings)


@contextmanager
def hook(status: int, body: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one answer; give its address and what was asked."""
    asked: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Location", "http://localhost:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/passages?a=b", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_hook_is_asked_in_json_and_answers_in_json() -> None:
    body = msgspec.json.encode({"passages": [{"source": "a", "text": "b"}, {"text": "c"}]})
    with hook(200, body) as (url, asked):
        found = HttpRetriever(Retrieval(url=url, budget_ms=5_000)).retrieve("soup?", 2)
    assert found == [Passage("a", "b"), Passage("", "c")]
    assert msgspec.json.decode(asked[0]) == {"query": "soup?", "top_k": 2}


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (302, b""), (200, b"{}"), (200, b" " * 300_000)]
)
def test_a_hook_that_answers_nonsense_is_an_error(status: int, body: bytes) -> None:
    with hook(status, body) as (url, _), pytest.raises(HookFailed):
        HttpRetriever(Retrieval(url=url, budget_ms=5_000)).retrieve("soup?", 2)


class Failing:
    def retrieve(self, query: str, top_k: int) -> Sequence[Passage]:
        raise KeyError(query)


class Hanging:
    def __init__(self) -> None:
        self.free = threading.Event()

    def retrieve(self, query: str, top_k: int) -> Sequence[Passage]:
        self.free.wait(20)
        return [Passage("late\nfile", "text " * 1_000)] * 5


async def ask(retrieval: RetrievalService, query: str) -> tuple[Passage, ...]:
    answer: asyncio.Future[tuple[Passage, ...]] = asyncio.get_running_loop().create_future()
    retrieval.ask(query, answer.set_result)
    return await answer


async def test_a_retriever_that_raises_is_answered_without_and_logged_without_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "create", lambda _: Failing())
    retrieval = RetrievalService(Retrieval(engine="x"))
    assert await ask(retrieval, "secret words") == ()
    assert "retriever failed, answered without" in caplog.text
    assert "secret" not in caplog.text
    retrieval.close()


async def test_lookups_are_bounded_and_what_is_found_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hanging = Hanging()
    monkeypatch.setattr(service, "create", lambda _: hanging)
    retrieval = RetrievalService(Retrieval(engine="x", top_k=2))
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(ask(retrieval, "soup")) for _ in range(MAX_RUNNING)]
        await asyncio.sleep(0)
        assert await ask(retrieval, "one too many") == ()
        hanging.free.set()
    found = running[0].result()
    assert [passage.source for passage in found] == ["late file"] * 2
    assert all(len(passage.text) <= MAX_TEXT_CHARACTERS for passage in found)
    retrieval.close()


PACKAGE = """
from antiphon_gateway.retrieval.passage import Passage
class Fixed:
    def __init__(self, settings):
        self.folder = settings.folder
    def retrieve(self, query, top_k):
        return [(self.folder, query.upper())]
"""


async def test_a_package_brings_a_retriever_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fixed_passages.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("fixed", "fixed_passages:Fixed", GROUP),
        EntryPoint("absent", "fixed_passages:Absent", GROUP),
    ]
    monkeypatch.setattr(service, "entry_points", lambda group: points if group == GROUP else [])
    retrieval = RetrievalService(Retrieval(engine="fixed", folder="attic"))
    assert await ask(retrieval, "soup") == (Passage("attic", "SOUP"),)
    retrieval.close()
    with pytest.raises(StartupError, match=r"the retriever absent of the package .* is broken"):
        RetrievalService(Retrieval(engine="absent"))
