"""The checks of `antiphon doctor`, each of one thing a server needs."""

import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from antiphon import models_fetch, readiness, runtime_dir
from antiphon_proto import llm_servers, models, open_files
from antiphon_proto.audio import Resampler, float_to_pcm16, pcm16_to_float
from antiphon_proto.channel import Bus
from antiphon_proto.config import Config
from antiphon_proto.engines import ENGINES, names, plug_ins
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES, STT_SAMPLE_RATE_HZ, Stage

MIN_PYTHON = (3, 11)
MIN_MEMORY_BYTES = 3_000_000_000
MIN_FREE_BYTES = 1_000_000_000
CORE_MODULES = ("aiohttp", "msgspec", "numpy", "onnxruntime", "soxr", "zmq", "supervisor")
MANIFEST_ENGINES = frozenset({"faster-whisper", "moonshine", "llamacpp", "piper"})
"""Engines whose model setting is a name of the manifest or a local path."""
HUB_ENGINE = "faster-whisper"
"""The engine that downloads a model whose name it knows."""
SOUND_CARDS = Path("/proc/asound/cards")
"""Where Linux lists them."""
DETECTOR_MODEL = "silero-vad"


class Check(msgspec.Struct, frozen=True):
    """One line of the report."""

    level: Literal["ok", "warn", "FAIL"]
    text: str
    fix: str = ""


def all_checks(config: Config, *, deep: bool) -> Iterator[Check]:
    """Yield every check of what `config` needs, in the order of their cost."""
    yield python()
    yield from packages(config)
    yield from model_files(config, deep=deep)
    yield runtime_directory(config.bus.directory)
    yield port(config)
    yield sample_rates()
    yield sound_card(SOUND_CARDS)
    yield disk(config.models.directory)
    yield cores(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)
    yield files_at_a_time(config)
    yield memory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    """Check the version of Python."""
    found = f"Python {platform.python_version()} at {sys.executable}"
    if version < MIN_PYTHON:
        return Check("FAIL", found, "install Python 3.11 or newer, then: make clean run")
    return Check("ok", found)


def packages(config: Config) -> Iterator[Check]:
    """Check that our packages and those of the configured engines are installed."""
    missing = [name for name in CORE_MODULES if find_spec(name) is None]
    if missing:
        yield Check("FAIL", f"missing packages: {', '.join(missing)}", "run: make setup")
    else:
        yield Check("ok", "packages of the server")
    for stage in STAGES:
        engine = config.stage(stage).engine
        yield _engine(stage, engine)


def model_files(config: Config, *, deep: bool) -> Iterator[Check]:
    """Check that the configured models are installed; `deep`: that their content is right."""
    names = [DETECTOR_MODEL] if config.turn_taking.detector == "silero" else []
    names += [
        config.stage(stage).model
        for stage in STAGES
        if config.stage(stage).engine in MANIFEST_ENGINES
    ]
    if config.llm.engine in ("ollama", "openai"):
        yield llm_server(config)
    if config.stt.turn_end_model and config.stt.engine != "simulated":
        names.append(config.stt.turn_end_model)
    hub = config.stt.model if config.stt.engine == HUB_ENGINE else None
    for name in names:
        yield _model(name, config.models.directory, deep=deep, may_be_on_hub=name == hub)


def llm_server(config: Config) -> Check:
    """Check that the server of the language model answers and has the model."""
    settings = config.llm
    is_ollama = settings.engine == "ollama"
    url = settings.ollama_url if is_ollama else settings.openai_url
    server = (
        llm_servers.ask("ollama", url)
        if is_ollama
        else llm_servers.ask("openai", url, settings.openai_key)
    )
    if server is None:
        fix = "start it with: ollama serve" if is_ollama else "start it, or set llm.url"
        return Check("FAIL", f"llm: no {settings.engine} server answers at {url}", fix)
    if settings.model and not llm_servers.has(server.models, settings.model):
        there = ", ".join(each.name for each in server.models) or "none"
        fix = (
            f"run: antiphon models pull ollama:{settings.model}"
            if is_ollama
            else "set llm.model to one of these"
        )
        text = f"llm: {url} has no model {settings.model}, only: {there}"
        return Check("FAIL", text, fix)
    return Check("ok", f"llm: {url} has {settings.model or server.models[0].name}")


def _engine(stage: Stage, name: str) -> Check:
    """Check that what an engine imports is installed."""
    if entry := ENGINES.get((stage, name)):
        modules, remedy = entry.libraries, f"run: pip install 'antiphon[{entry.extra}]'"
        what = f"engine {name}"
    elif plug_in := plug_ins(stage).get(name):
        modules, remedy = (plug_in.module,), f"install {plug_in.package} again"
        what = f"engine {name} of {plug_in.package}"
    else:
        known = ", ".join(names(stage))
        fix = f"choose one: --set {stage}.engine=NAME, of {known}"
        return Check("FAIL", f"{stage}: there is no engine {name}", fix)
    absent = [module for module in modules if not _is_installed(module)]
    if absent:
        return Check("FAIL", f"{stage}: {what} misses {', '.join(absent)}", remedy)
    return Check("ok", f"{stage}: packages of {what}")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _model(name: str, cache_dir: Path, *, deep: bool, may_be_on_hub: bool) -> Check:
    entry = models.manifest().get(name)
    try:
        place = models.find(name, cache_dir)
    except StartupError as exc:
        if entry is None and may_be_on_hub:
            fix = "the engine may know it as a hub name; antiphon up will tell"
            return Check("warn", f"model {name} is neither a path nor in the manifest", fix)
        problem, _, fix = str(exc).partition("; ")
        return Check("FAIL", problem, fix)
    if entry is None or not deep:
        return Check("ok", f"model {name} in {place}")
    wrong = [file.name for file in entry.files if not models_fetch.verify(place / file.name, file)]
    if wrong:
        fix = f"run: rm -r {place} && antiphon models pull {name}"
        return Check("FAIL", f"model {name} has damaged files: {', '.join(wrong)}", fix)
    return Check("ok", f"model {name} in {place}, sha256 checked")


def runtime_directory(directory: Path) -> Check:
    """Check that the directory of the sockets can be used, and by whom it is."""
    try:
        with Bus(directory):
            owner = runtime_dir.owner(directory)
    except StartupError as exc:
        text, _, fix = str(exc).partition(";")
        return Check("FAIL", text, fix.strip() or "set bus.runtime_dir to another directory")
    used = f", in use by process {owner}" if owner else ""
    return Check("ok", f"runtime directory {directory}{used}")


def port(config: Config) -> Check:
    """Check that the port is free, or that a server of ours answers there."""
    gateway = config.gateway
    try:
        runtime_dir.check_port(gateway)
    except StartupError as exc:
        answer = readiness.ask(gateway)
        if answer is None:
            text, _, fix = str(exc).partition("; ")
            return Check("FAIL", text, fix)
        address = readiness.page_address(gateway)
        if answer.ready:
            return Check("ok", f"a server answers at {address} and is ready")
        waiting = [
            f"{stage}: {state.reason or 'loading'}"
            for stage, state in answer.stages.items()
            if not state.ready
        ]
        text = f"a server answers at {address} and is not ready ({'; '.join(waiting)})"
        return Check("warn", text, "look into its logs: antiphon up --verbose")
    return Check("ok", f"port {gateway.port} on {gateway.host} is free")


def sample_rates(resampler: type[Resampler] = Resampler) -> Check:
    """Check that sound survives the way from a microphone's rate to those of the server."""
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000, dtype=np.float32) / 48_000)
    heard = resampler(48_000, STT_SAMPLE_RATE_HZ).feed(float_to_pcm16(tone), last=True)
    played = resampler(STT_SAMPLE_RATE_HZ, 24_000).feed(heard, last=True)
    loudness = float(np.sqrt(np.mean(np.square(pcm16_to_float(played)))))
    if abs(len(played) - 48_000) > 480 or abs(loudness - math.sqrt(0.5)) > 0.05:
        return Check(
            "FAIL",
            f"audio: a second of tone comes back as {len(played) // 2} samples of loudness "
            f"{loudness:.2f}, not 24000 of 0.71",
            "install the packages again: make clean run",
        )
    return Check("ok", "audio: sound survives the change of sample rates")


def sound_card(cards: Path) -> Check:
    """Say whether this machine itself can be talked to. A server needs no sound card."""
    here = cards.is_file() and "no soundcards" not in cards.read_text(encoding="utf-8")
    if here:
        return Check("ok", "audio: this machine has a sound card; its browser can be talked to")
    return Check(
        "ok",
        "audio: no sound card found here; talk from another machine's browser, or with WAV files",
    )


def disk(cache_dir: Path) -> Check:
    """Check the free space where models are kept."""
    existing = next(path for path in (cache_dir, *cache_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free at {existing}"
    if free < MIN_FREE_BYTES:
        return Check("warn", text, "fetching models may fail; free some space")
    return Check("ok", text)


def cores(count: int) -> Check:
    """Check the number of processor cores."""
    text = f"{count} processor core{'s' if count > 1 else ''}"
    if count < 2:
        return Check("warn", text, "replies will be slow; two cores or more are recommended")
    return Check("ok", text)


def files_at_a_time(config: Config) -> Check:
    """Check that a gateway may have as many open files as its sessions need."""
    needed, most = open_files.needed(config), open_files.most()
    if most < needed:
        text, _, fix = open_files.refusal(config).partition("; ")
        return Check("FAIL", text, fix)
    return Check("ok", f"{needed} open files are needed, {most} allowed")


def memory(size_bytes: int) -> Check:
    """Check the size of the memory."""
    text = f"{size_bytes / 1e9:.1f} GB memory"
    if size_bytes < MIN_MEMORY_BYTES:
        return Check("warn", text, "the default models need about 2 GB")
    return Check("ok", text)
