"""What a session asks of a stage."""

from typing import Literal

import msgspec

from antiphon_proto.messages import (
    AudioDelta,
    Command,
    FunctionCalled,
    Generate,
    PredictTurnEnd,
    ReadPrompt,
    ResultBody,
    Stage,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)

_STAGE_OF: dict[type[Command], Stage] = {
    Transcribe: "stt",
    PredictTurnEnd: "stt",
    Generate: "llm",
    ReadPrompt: "llm",
    Synthesize: "tts",
}
_STAGE_OF_RESULT: dict[type[ResultBody], Stage] = {
    Transcript: "stt",
    TextDelta: "llm",
    FunctionCalled: "llm",
    AudioDelta: "tts",
}


def stage_of(command: Command) -> Stage:
    """Return the stage whose workers can carry out a command."""
    return _STAGE_OF[type(command)]


def stage_of_result(body: ResultBody) -> Stage | Literal["unknown"]:
    """Return the stage that makes such results, if no other does."""
    return _STAGE_OF_RESULT.get(type(body), "unknown")


PATIENCE_MS = 3_000
"""Of jobs that nobody waits for at a known time."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One job as a session sees it: no worker, no attempt."""

    job_id: str
    session_id: str
    turn_id: int
    revision: int
    command: Command
    payload: bytes = b""
    budget_ms: int
    """Time from submission after which the result is worthless."""
    urgent: bool = False
    """Goes before jobs that are not: the first chunk of a turn."""
    patience_ms: int = PATIENCE_MS
    """How long nobody waits for its first result yet, when it is not urgent."""

    @property
    def stage(self) -> Stage:
        """The stage whose workers can do this."""
        return stage_of(self.command)

    @property
    def partial(self) -> bool:
        """Whether a newer `Transcribe` of the session makes this one worthless."""
        return isinstance(self.command, Transcribe) and not self.command.final
