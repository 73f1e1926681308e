"""A retriever behind HTTP: the query goes out as JSON, passages come back."""

import http.client
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from antiphon_gateway.retrieval.passage import Passage
from antiphon_proto.config import Retrieval
from antiphon_proto.errors import ProtocolError, StartupError

MAX_ANSWER_BYTES = 256 * 1024


class _Found(msgspec.Struct, frozen=True):
    text: str
    source: str = ""


class _Answer(msgspec.Struct, frozen=True):
    passages: Annotated[list[_Found], msgspec.Meta(max_length=100)]


class HookFailed(ProtocolError):
    """Raised when the hook gives no passages."""

    code = "retrieval_hook"


class HttpRetriever:
    """POSTs `{"query", "top_k"}`, takes `{"passages": [{"source", "text"}]}`; no redirects."""

    def __init__(self, settings: Retrieval) -> None:
        """Raise StartupError when the address is none of HTTP."""
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StartupError(
                f"retrieval.url is {settings.url!r}; set it to an address such as "
                "http://localhost:9000/passages"
            )
        self._is_tls = parts.scheme == "https"
        self._address = parts.hostname, parts.port
        self._path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        self._timeout_s = max(settings.budget_ms, 1) / 1000

    def retrieve(self, query: str, top_k: int) -> list[Passage]:
        """Ask the hook. Raises OSError, http.client.HTTPException or HookFailed."""
        host, port = self._address
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = kind(host, port, timeout=self._timeout_s)
        try:
            body = msgspec.json.encode({"query": query, "top_k": top_k})
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if response.status != 200:
            raise HookFailed(f"the hook answered with status {response.status}")
        if len(answer) > MAX_ANSWER_BYTES:
            raise HookFailed(f"the hook answered with more than {MAX_ANSWER_BYTES} bytes")
        try:
            found = msgspec.json.decode(answer, type=_Answer).passages
        except (msgspec.DecodeError, UnicodeError) as exc:
            raise HookFailed("the hook's answer is not what it should be") from exc
        return [Passage(each.source, each.text) for each in found]
