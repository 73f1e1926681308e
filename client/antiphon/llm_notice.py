"""What `antiphon up` says of better language models: those of servers here, or one to fetch."""

from antiphon.sizes import megabytes
from antiphon_proto import llm_servers, proposals
from antiphon_proto.config import Config

EMBEDDED = "llamacpp"
_MOST_NAMES = 4


def lines(settings: Config) -> list[str]:
    """Return how to talk with another model than the embedded one."""
    if settings.llm.engine != EMBEDDED:
        return []
    servers = llm_servers.found_here(settings)
    said = [notice(server) for server in servers if server.offered]
    if not said and settings.llm.model == proposals.DEMONSTRATION:
        proposed = proposals.proposal(servers, settings)
        said = [proposal_notice(servers, proposed)] if proposed else []
    return said


def notice(server: llm_servers.LlmServer) -> str:
    """Return what a server has, and how to switch to it."""
    names = [model.name for model in proposals.in_order(server)[:_MOST_NAMES]]
    more = len(server.offered) - len(names)
    has = f"{', '.join(names)}{f' and {more} more' if more else ''}"
    url = "" if server.engine == "ollama" else f" --set llm.url={server.url}"
    return (
        f"{_found(server)} with {has}. To talk with one of them instead, now: in the page, "
        f"or by antiphon models use {server.engine}:{names[0]}{url}"
    )


def proposal_notice(servers: list[llm_servers.LlmServer], proposed: proposals.Proposal) -> str:
    """Return which model this machine could run, its size and licence, and how to get it."""
    without = f"{_found(servers[0])}, without a model to talk with." if servers else ""
    small = without or "The language model that came along is for demonstration."
    flags = [f" --set {setting}" for setting in proposed.settings]
    use = f"antiphon models use {proposed.name}{''.join(flags)}"
    how = use if proposed.installed else f"antiphon models pull {proposed.name} && {use}"
    have = "is installed" if proposed.installed else "fits this machine"
    return (
        f"{small} {proposed.title} {have} ({megabytes(proposed.size_bytes)}, licence "
        f"{proposed.licence}); the page offers it, or run: {how}"
    )


def _found(server: llm_servers.LlmServer) -> str:
    return f"{server.title[:1].upper()}{server.title[1:]} runs at {server.url}"
