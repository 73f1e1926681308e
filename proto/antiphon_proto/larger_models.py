"""Language models to propose instead of the one for demonstration, and which fits a machine. Pure.

Ollama tells a licence only once it has the model, so what a person should know before is here.
"""

import msgspec

from antiphon_proto.machine import Machine

EMBEDDED_CONTEXT_TOKENS = 4_096
"""Of each of the embedded engine's conversations, of which its slots hold several."""


class LargerModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that answers at once, without thinking aloud first."""

    title: str
    ollama: str
    """Its name at Ollama."""
    gguf: str = ""
    """Its name in the manifest, for the embedded engine; empty: Ollama alone has it."""
    size_bytes: int
    licence: str
    memory_bytes: int
    """While it answers: its file, 8,192 tokens of conversation, what computing needs. Computed
    from its shape, not measured."""
    cores: int
    """Without a graphics card it needs so many to read a question and speak without waiting."""


MODELS = (
    LargerModel(
        title="Qwen2.5 1.5B",
        ollama="qwen2.5:1.5b",
        gguf="qwen2.5-1.5b",
        size_bytes=1_117_320_736,
        licence="Apache-2.0",
        memory_bytes=1_900_000_000,
        cores=2,
    ),
    LargerModel(
        title="Qwen3 4B",
        ollama="qwen3:4b-instruct",
        gguf="qwen3-4b",
        size_bytes=2_497_281_120,
        licence="Apache-2.0",
        memory_bytes=4_300_000_000,
        cores=6,
    ),
    LargerModel(
        title="Qwen2.5 7B",
        ollama="qwen2.5:7b",
        gguf="qwen2.5-7b",
        size_bytes=4_683_074_240,
        licence="Apache-2.0",
        memory_bytes=5_800_000_000,
        cores=12,
    ),
    LargerModel(
        title="Qwen3 30B, of which 3B at a time",
        ollama="qwen3:30b-instruct",
        size_bytes=18_600_000_000,
        licence="Apache-2.0",
        memory_bytes=20_500_000_000,
        cores=12,
    ),
)
"""From the smallest to the largest."""


def fitting(machine: Machine, *, by_ollama: bool) -> LargerModel | None:
    """Return the largest that a machine can run well; None when even the smallest is too large.

    `by_ollama`: Ollama would run it, which uses a graphics card; else the embedded engine on the
    processor.
    """
    return max(
        (model for model in MODELS if _fits(model, machine, by_ollama)),
        key=lambda model: model.memory_bytes,
        default=None,
    )


def settings(manifest_name: str, cores: int) -> tuple[str, ...]:
    """Return what else the embedded engine needs to speak with one of them without waiting, in the
    form of `--set`; nothing for other models.

    A single thread writes a larger model's answer more slowly than it is spoken; half of the cores
    are left to hearing and speaking. The context is what the memory was computed for.
    """
    if manifest_name not in (model.gguf for model in MODELS if model.gguf):
        return ()
    threads = cores // 2
    return (
        f"llm.context_tokens={EMBEDDED_CONTEXT_TOKENS}",
        f"llm.threads={max(2, threads)}",
        f"llm.generation_threads={max(1, threads)}",
    )


def named(ollama: str) -> LargerModel | None:
    """Return the model that Ollama has under a name."""
    return next((model for model in MODELS if model.ollama == ollama), None)


def _fits(model: LargerModel, machine: Machine, by_ollama: bool) -> bool:
    if by_ollama and model.memory_bytes <= machine.gpu_bytes:
        return True
    has_room = model.memory_bytes <= machine.memory_bytes and model.cores <= machine.cores
    return has_room and (by_ollama or bool(model.gguf))
