"""Language-model servers of other projects: asked over HTTP what they have, told to fetch a model.

Ollama through its own API, others through OpenAI's `/v1/models`.
"""

import http.client
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from antiphon_proto.config import Config
from antiphon_proto.errors import StartupError

PROBE_S = 0.5
"""How long a server may take to say what it has; servers that are there take milliseconds."""
PULL_SILENCE_S = 600.0
MOST_BYTES = 4 << 20
OUR_OWN = "antiphon"
"""Who our own gateway says owns its models."""
_AS_JSON = {"Content-Type": "application/json"}
_MOST_QUESTIONS = 8
"""To one server at a time."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_USUAL_PORTS = (8000, 8080, 1234)
"""Of OpenAI-compatible servers: vLLM, llama.cpp, LM Studio."""

Engine = Literal["ollama", "openai"]


class ServedModel(msgspec.Struct, frozen=True):
    """A model of such a server."""

    name: str
    size_bytes: int = 0
    """0: not told."""
    chats: bool = True
    """False for a model that only makes embeddings."""
    is_here: bool = True
    """False when the server only passes what it is told on to another machine."""


class LlmServer(msgspec.Struct, frozen=True):
    """A server that answered."""

    engine: Engine
    url: str
    models: tuple[ServedModel, ...]

    @property
    def offered(self) -> tuple[ServedModel, ...]:
        """The models that can be talked with, without a word leaving this machine."""
        return tuple(model for model in self.models if model.chats and model.is_here)

    @property
    def title(self) -> str:
        """What a person calls it."""
        return "Ollama" if self.engine == "ollama" else "an OpenAI-compatible server"


def found_here(config: Config) -> list[LlmServer]:
    """Return the servers that answer on this machine; asks all at once, for `PROBE_S`.

    Asks nobody but loopback, and nobody when `llm.find_servers` is off.
    """
    if not config.llm.find_servers:
        return []
    asked: list[tuple[Engine, str]] = [("ollama", config.llm.ollama_url)]
    asked.append(("openai", config.llm.openai_url))
    usual = (port for port in _USUAL_PORTS if port != config.gateway.port)
    asked += [("openai", f"http://127.0.0.1:{port}/v1") for port in usual]
    here = dict.fromkeys(each for each in asked if urlsplit(each[1]).hostname in _LOOPBACK)
    with ThreadPoolExecutor(len(here) or 1) as executor:
        answers = executor.map(lambda each: _look(*each), here)
        return [answer for answer in answers if answer is not None]


def _look(engine: Engine, url: str) -> LlmServer | None:
    """Ask a server what it has, and Ollama of each model whether it chats."""
    server = ask(engine, url)
    if server is None or engine != "ollama" or not server.models:
        return server
    with ThreadPoolExecutor(_MOST_QUESTIONS) as executor:
        models = executor.map(lambda model: _with_capabilities(url, model), server.models)
        return msgspec.structs.replace(server, models=tuple(models))


def _with_capabilities(url: str, model: ServedModel) -> ServedModel:
    capabilities = _show(url, model.name).get("capabilities")
    chats = not isinstance(capabilities, list) or "completion" in capabilities
    return msgspec.structs.replace(model, chats=chats)


def ask(engine: Engine, url: str, key: str = "") -> LlmServer | None:
    """Return what a server has; None when nothing of the kind answers there."""
    try:
        answer = _get(url, "/api/tags" if engine == "ollama" else "/models", key)
        models = _ollama_models(answer) if engine == "ollama" else _openai_models(answer)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
    return None if models is None else LlmServer(engine, url, tuple(models))


def pull(url: str, name: str) -> Iterator[tuple[str, int, int]]:
    """Have Ollama fetch a model; yields what it does, the bytes done and those of the part.

    Raises StartupError when it is not there or cannot.
    """
    try:
        connection = _connection(url, PULL_SILENCE_S)
        try:
            body = json.dumps({"model": name, "stream": True})
            path = urlsplit(url).path.rstrip("/")
            connection.request("POST", f"{path}/api/pull", body, _AS_JSON)
            response = connection.getresponse()
            for line in response:
                told = json.loads(line)
                if "error" in told:
                    raise StartupError(
                        f"Ollama cannot pull {name} ({told['error']}); "
                        "see the names at https://ollama.com/library"
                    )
                yield (
                    str(told.get("status", "")),
                    int(told.get("completed", 0)),
                    int(told.get("total", 0)),
                )
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise StartupError(
            f"Ollama does not answer at {url} ({type(exc).__name__}); start it with: ollama serve"
        ) from exc


def licence(url: str, name: str) -> str:
    """Return the first line of an Ollama model's licence; empty when it has none."""
    text = _show(url, name).get("license", "")
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return lines[0] if lines else ""


def _show(url: str, name: str) -> dict[str, Any]:
    """Return what Ollama says of a model; nothing when it does not answer."""
    try:
        connection = _connection(url, PROBE_S)
        try:
            path = urlsplit(url).path.rstrip("/")
            body = json.dumps({"model": name})
            connection.request("POST", f"{path}/api/show", body, _AS_JSON)
            told = json.loads(connection.getresponse().read(MOST_BYTES))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def has(models: Sequence[ServedModel], name: str) -> bool:
    """Tell whether a model is among them; Ollama calls `qwen3` what is `qwen3:latest`."""
    return any(model.name in (name, f"{name}:latest") for model in models)


def _get(url: str, path: str, key: str) -> Any:
    connection = _connection(url, PROBE_S)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", urlsplit(url).path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise ValueError(response.status)
        return json.loads(response.read(MOST_BYTES))
    finally:
        connection.close()


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    return kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)


def _ollama_models(answer: Any) -> list[ServedModel]:
    return [
        ServedModel(
            str(each["name"]),
            int(each.get("size", 0)),
            # Ollama lists models of its own cloud beside those that it has.
            is_here=not each.get("remote_host") and not each.get("remote_model"),
        )
        for each in answer["models"]
    ]


def _openai_models(answer: Any) -> list[ServedModel] | None:
    """Return the models; None when the server is our own."""
    if any(each.get("owned_by") == OUR_OWN for each in answer["data"]):
        return None
    return [ServedModel(str(each["id"])) for each in answer["data"]]
