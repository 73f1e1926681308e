"""Asks llama.cpp's server, on its private socket, how it renders and counts text."""

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Any

from antiphon_proto.conversation import ChatMessage, Function
from antiphon_workers.llm.openai_form import as_json, tool_json

_TIMEOUT_S = 10.0


class TemplateProbe:
    """A client of the two endpoints that are not to be had by a call. Threads may share it."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    def render(self, messages: Sequence[ChatMessage]) -> str | None:
        """Return the prompt that the model's chat template makes of the messages, if it can."""
        answer = self._post(
            "/apply-template",
            {"messages": [as_json(said) for said in messages]},
        )
        prompt = answer.get("prompt")
        return prompt if isinstance(prompt, str) else None

    def renders_functions(self) -> bool:
        """Tell whether the template has a form for functions."""
        probe = Function("probe_function", "", {})
        asked = as_json(ChatMessage("user", "probe"))
        answer = self._post("/apply-template", {"messages": [asked], "tools": [tool_json(probe)]})
        return probe.name in str(answer.get("prompt", ""))

    def first_token(self, text: str) -> int | None:
        """Return the first token of a text, special tokens included."""
        tokens = self._tokens(text) or [None]
        return tokens[0] if isinstance(tokens[0], int) else None

    def count(self, text: str) -> int | None:
        """Return how many tokens a text is, special tokens included; None: no answer."""
        tokens = self._tokens(text)
        return None if tokens is None else len(tokens)

    def _tokens(self, text: str) -> list[Any] | None:
        tokens = self._post("/tokenize", {"content": text, "parse_special": True}).get("tokens")
        return tokens if isinstance(tokens, list) else None

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON object of the answer; empty when there is none."""
        connection = _UnixConnection(self._path)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read()) if response.status == http.HTTPStatus.OK else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            connection.close()
        return answer if isinstance(answer, dict) else {}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)
