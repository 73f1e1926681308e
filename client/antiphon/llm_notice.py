"""What `antiphon up` says of the language-model servers that it finds on this machine."""

from antiphon import llm_servers
from antiphon_proto.config import Config

EMBEDDED = "llamacpp"
_MOST_NAMES = 4


def lines(settings: Config) -> list[str]:
    """Return a line for each server that could answer instead of the embedded model."""
    if settings.llm.engine != EMBEDDED:
        return []
    return [notice(server) for server in llm_servers.found_here(settings)]


def notice(server: llm_servers.LlmServer) -> str:
    """Return what was found, and how to switch to it."""
    found = f"{server.title[:1].upper()}{server.title[1:]} runs at {server.url}"
    if not server.models:
        return f"{found}, without a model. Fetch one: antiphon models pull ollama:qwen3:4b"
    names = [model.name for model in server.models[:_MOST_NAMES]]
    more = len(server.models) - len(names)
    has = f"{', '.join(names)}{f' and {more} more' if more else ''}"
    url = "" if server.engine == "ollama" else f" --set llm.url={server.url}"
    return (
        f"{found} with {has}. To talk with one of them instead, now: "
        f"antiphon models use {server.engine}:{names[0]}{url}"
    )
