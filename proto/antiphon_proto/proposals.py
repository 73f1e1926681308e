"""The language model that is proposed where no other server has one: what it is, what it costs."""

from collections.abc import Sequence

import msgspec

from antiphon_proto import larger_models, machine, models
from antiphon_proto.config import Config
from antiphon_proto.llm_servers import LlmServer, ServedModel

DEMONSTRATION = "smollm2-135m"
"""The model that comes along; whoever talks with another one has chosen it."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """One model to fetch and talk with."""

    name: str
    """For `antiphon models pull` and `use`."""
    title: str
    size_bytes: int
    licence: str
    url: str = ""
    """Of the Ollama that is to fetch it."""
    settings: tuple[str, ...] = ()
    """What else is set to use it, in the form of `--set`."""
    installed: bool = False
    """It only needs to be used."""


def proposal(servers: Sequence[LlmServer], config: Config) -> Proposal | None:
    """Return what fits this machine; None when nothing does, or a server has models already.

    Asks nvidia-smi, which may take seconds, where Ollama would use a graphics card.
    """
    if any(server.offered for server in servers):
        return None
    ollama = next((server for server in servers if server.engine == "ollama"), None)
    here = machine.look(cards=ollama is not None)
    model = larger_models.fitting(here, by_ollama=ollama is not None)
    if model is None:
        return None
    if ollama is not None:
        return Proposal(
            name=f"ollama:{model.ollama}",
            title=model.title,
            size_bytes=model.size_bytes,
            licence=model.licence,
            url=ollama.url,
        )
    entry = models.manifest()[model.gguf]
    return Proposal(
        name=entry.name,
        title=model.title,
        size_bytes=entry.bytes,
        licence=entry.licence,
        settings=larger_models.settings(entry.name, here.cores),
        installed=models.is_installed(entry, config.models.directory),
    )


def in_order(server: LlmServer) -> list[ServedModel]:
    """Return what a server offers; what is larger than this machine's memory comes last."""
    room_bytes = machine.look(cards=False).memory_bytes
    return sorted(server.offered, key=lambda model: model.size_bytes > room_bytes)
