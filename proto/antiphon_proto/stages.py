"""The stages of a conversation, and what the dispatcher tells of each."""

from typing import Literal, get_args

import msgspec

Stage = Literal["stt", "llm", "tts"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class WorkerState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One worker that has announced itself."""

    worker_id: str
    pid: int
    engine: str
    model: str
    slots: int
    outstanding: int
    """Slots that are occupied."""
    connected: bool
    load_ms: int = 0
    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


class StageState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage, with the jobs of all gateways."""

    stage: Stage
    ready: bool
    """Whether a worker is connected and takes jobs."""
    reason: str
    queued: int
    """Jobs that no worker has taken."""
    oldest_wait_ms: int
    """How long the first of them has waited."""
    running: int
    """Slots of connected workers that are occupied."""
    slots: int
    """Slots of connected workers."""
    workers: tuple[WorkerState, ...]
