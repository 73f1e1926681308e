"""The contract of an engine: a model implementation inside a worker."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import ClassVar, Literal, NamedTuple

from antiphon_proto.config import Config
from antiphon_proto.messages import (
    AudioDelta,
    FunctionCalled,
    Job,
    Stage,
    TextDelta,
    Transcript,
    TurnEnd,
)

Output = tuple[Transcript | TurnEnd | TextDelta | FunctionCalled | AudioDelta, bytes]
"""A result that is not terminal, and its payload."""


class Usage(NamedTuple):
    """The figures of the `Done` that ends a job; yielded at most once, last."""

    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: Literal["stop", "length"] = "stop"


Step = Output | Usage | None
"""What an engine yields; None is a step that has no result, where a job can be cancelled."""


async def no_steps() -> AsyncGenerator[Step, None]:
    """Answer a command that the engine knows nothing about: no result, only the end."""
    nothing: tuple[Step, ...] = ()
    for step in nothing:
        yield step


class Engine(ABC):
    """One model, shared by all jobs of a worker.

    The runner constructs it and calls `load` on a thread, then runs at most `slots` jobs at once
    on the event loop, then calls `close`. The constructor only remembers the configuration.
    """

    stage: ClassVar[Stage]

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def slots(self) -> int:
        """Jobs that may run at once."""
        return self.config.stage(self.stage).slots

    @property
    def model(self) -> str:
        """Name of the model that it has loaded."""
        return self.config.stage(self.stage).model

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of what a voice speaks, the default first; empty: not known."""
        language = self.config.tts.language
        return (language,) if language else ()

    @property
    def step_limit_ms(self) -> int:
        """A time without a step after which this engine hangs for sure; 0: not known."""
        return 0

    @abstractmethod
    def load(self) -> None:
        """Load the model and run it once, so that the first job is as fast as any other. Blocks.

        Raises StartupError naming the command that installs what is missing.
        """

    @abstractmethod
    def run(self, job: Job, payload: bytes) -> AsyncGenerator[Step, None]:
        """Yield the job's steps. It is cancelled by cancelling the task or closing the generator.

        Blocking work belongs in `threads.steps_in_thread`. An exception fails this job alone.
        """

    async def disconnect(self) -> None:
        """Close what belongs to the event loop, such as connections. More jobs may follow."""
        return

    def close(self) -> None:
        """Free what would outlive the process or stop it from exiting. Blocks."""
        return
