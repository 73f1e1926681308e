"""Which jobs a worker takes. Pure."""

from collections.abc import Collection

from antiphon_proto.messages import (
    Command,
    Generate,
    Job,
    PredictTurnEnd,
    ReadPrompt,
    Stage,
    Synthesize,
    Transcribe,
)

COMMANDS: dict[Stage, tuple[type[Command], ...]] = {
    "stt": (Transcribe, PredictTurnEnd),
    "llm": (Generate, ReadPrompt),
    "tts": (Synthesize,),
}
MIN_SPEED = 0.25
MAX_SPEED = 4.0
MAX_OUTPUT_TOKENS = 4_096


def fault(job: Job, payload: bytes, *, stage: Stage, gateways: Collection[str]) -> str | None:
    """Return why a job is malformed, naming the field and its limit; None when it is sound."""
    command = job.command
    if not isinstance(command, COMMANDS[stage]):
        served = " or ".join(known.__name__ for known in COMMANDS[stage])
        return f"command is {type(command).__name__}, not {served}"
    if job.reply_to not in gateways:
        return f"reply_to is {job.reply_to!r}, not {' or '.join(gateways)}"
    if isinstance(command, Transcribe | PredictTurnEnd):
        return f"payload is {len(payload)} bytes, an odd count" if len(payload) % 2 else None
    if payload:
        return f"payload is {len(payload)} bytes, not 0"
    if isinstance(command, Synthesize):
        sound = MIN_SPEED <= command.speed <= MAX_SPEED
        return None if sound else f"speed is {command.speed}, outside {MIN_SPEED}..{MAX_SPEED}"
    if not command.messages:
        return "messages is empty"
    return None if isinstance(command, ReadPrompt) else _generate_fault(command)


def _generate_fault(command: Generate) -> str | None:
    if not 1 <= command.max_output_tokens <= MAX_OUTPUT_TOKENS:
        return f"max_output_tokens is {command.max_output_tokens}, outside 1..{MAX_OUTPUT_TOKENS}"
    if not 0.0 <= command.temperature <= 2.0:
        return f"temperature is {command.temperature}, outside 0..2"
    return None
