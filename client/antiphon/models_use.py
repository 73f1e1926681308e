"""`antiphon models use`: another language model, in a running server and its sessions."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from antiphon import programs, readiness, runtime_dir
from antiphon.change_lock import alone
from antiphon.log_files import Tail, last_error
from antiphon.supervisor_link import write_private
from antiphon_proto import config, llm_servers, models
from antiphon_proto.config import Config, Llm
from antiphon_proto.errors import StartupError

SERVED_CONTEXT_TOKENS = 8_192
"""For a model of another server: those were made for it, the embedded one was not."""
WAIT_S = 180.0
"""How long the new model may take to load."""
_POLL_S = 0.2
_CANNOT_START = "antiphon-worker llm: "
"""How a worker's last line begins that cannot load its model."""
_FIELDS = ("engine", "model", "url", "context_tokens")


class Choice(NamedTuple):
    """What is to answer from now on."""

    llm: Llm

    @property
    def lines(self) -> list[str]:
        """The lines of a configuration file that keep it."""
        default = Llm()
        values = {name: getattr(self.llm, name) for name in _FIELDS}
        return ["[llm]"] + [
            f"{name} = {msgspec.json.encode(value).decode()}"
            for name, value in values.items()
            if value != getattr(default, name) or name in ("engine", "model")
        ]


def chosen(name: str, settings: Config) -> Choice:
    """Return what a name means: `ollama:MODEL`, `openai:MODEL`, a manifest name or a GGUF file.

    Raises StartupError when it is not there, naming what fetches it.
    """
    kind, separator, model = name.partition(":")
    if not separator or kind not in ("ollama", "openai"):
        place = models.find(name, settings.models.directory)
        model = name if name in models.manifest() else str(place.absolute())
        return Choice(msgspec.structs.replace(settings.llm, engine="llamacpp", model=model, url=""))
    engine: llm_servers.Engine = "ollama" if kind == "ollama" else "openai"
    url = settings.llm.ollama_url if engine == "ollama" else settings.llm.openai_url
    server = llm_servers.ask(engine, url, settings.llm.openai_key if engine == "openai" else "")
    if server is None:
        start = "start it with: ollama serve" if engine == "ollama" else "start it"
        raise StartupError(f"no {kind} server answers at {url}; {start}, or add --set llm.url=URL")
    if not llm_servers.has(server.models, model):
        there = ", ".join(each.name for each in server.models) or "none"
        mend = f"run: antiphon models pull {name}" if engine == "ollama" else "choose one of them"
        raise StartupError(f"the server at {url} has no model {model}, only: {there}; {mend}")
    context = max(settings.llm.context_tokens, SERVED_CONTEXT_TOKENS)
    return Choice(
        msgspec.structs.replace(
            settings.llm, engine=engine, model=model, url=url, context_tokens=context
        )
    )


def switch(choice: Choice, settings: Config) -> bool:
    """Switch the running server of this configuration over; False when none runs.

    Its sessions go on: a worker finishes what it holds, and turns wait for the next one. Several
    workers are restarted one after the other. When the new model cannot be loaded the old one
    is taken again. Raises StartupError then.
    """
    directory = settings.bus.directory.absolute()
    if runtime_dir.owner(directory) is None:
        return False
    with alone(directory):
        _exchange(choice, directory)
    return True


def _exchange(choice: Choice, directory: Path) -> None:
    file = directory / programs.SETTINGS_NAME
    running = config.load(file=str(file), environment={})
    asked = {name: getattr(choice.llm, name) for name in _FIELDS}
    new = msgspec.structs.replace(running, llm=msgspec.structs.replace(running.llm, **asked))
    write_private(file, config.to_toml(new, secrets=True))
    try:
        _restart_workers(running, new, directory)
    except StartupError:
        write_private(file, config.to_toml(running, secrets=True))
        _restart_workers(new, running, directory)
        raise


def _restart_workers(before: Config, after: Config, directory: Path) -> None:
    """Restart the workers one by one. Raises StartupError when one does not come back."""
    for index in range(after.llm.processes):
        worker_id = f"llm-{index}"
        log = programs.log_file(directory, worker_id)
        news = Tail(log)
        news.new_lines()
        worker = _workers(before).get(worker_id)
        if worker is not None:
            # An ended worker is started again by its supervisor, with the settings of the file.
            os.kill(worker["pid"], signal.SIGTERM)
        _await_worker(after, worker_id, worker["pid"] if worker else 0, log, news)


def _await_worker(config: Config, worker_id: str, old_pid: int, log: Path, news: Tail) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        worker = _workers(config).get(worker_id)
        if worker and worker["pid"] != old_pid and worker["model"] == config.llm.model:
            return
        if any(line.startswith(_CANNOT_START) for line in news.new_lines()):
            break
        time.sleep(_POLL_S)
    reason = last_error(log) or f"it was not ready within {WAIT_S:.0f} s"
    raise StartupError(f"{config.llm.model} cannot be used: {reason} (its log: {log})")


def _workers(settings: Config) -> Mapping[str, Any]:
    """Return the language model's workers that have announced themselves, by id."""
    status = readiness.status(settings.gateway)
    workers = status["stages"]["llm"]["workers"] if status and "stages" in status else []
    return {worker["worker_id"]: worker for worker in workers if worker["connected"]}
