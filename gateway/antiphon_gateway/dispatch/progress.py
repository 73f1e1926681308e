"""What the listener already has of a job, and what a new attempt must still bring.

Speech is made again from its start by an engine that repeats itself sample by sample, so as many
samples are skipped as were delivered. Text is continued: the new attempt gets the delivered part
as the assistant's own words.
"""

import msgspec

from antiphon_gateway.generation import unmarked
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    FunctionCalled,
    Generate,
    PredictTurnEnd,
    ReadPrompt,
    ResultBody,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
    TurnEnd,
)

_BODIES_OF: dict[type[Command], tuple[type[ResultBody], ...]] = {
    Transcribe: (Transcript,),
    PredictTurnEnd: (TurnEnd,),
    Generate: (TextDelta, FunctionCalled),
    ReadPrompt: (TurnEnd,),
    Synthesize: (AudioDelta,),
}
_SAMPLE_BYTES = 2


class Progress:
    """The delivered part of one job, over all its attempts."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._text: list[str] = []
        self._samples = 0
        self._samples_to_skip = 0
        self._sample_rate_hz = 0
        self._answered = False
        self._calls_to_come = False

    @property
    def complete(self) -> bool:
        """Whether nothing but the terminal result is missing."""
        return self._answered and not self._calls_to_come

    @property
    def torn(self) -> bool:
        """Whether some calls of functions were delivered and others that follow were not.

        No new attempt can bring those: the model would choose anew.
        """
        return self._calls_to_come

    def fits(self, body: ResultBody, payload: bytes) -> bool:
        """Whether a result that is not terminal may follow what was delivered."""
        if not isinstance(body, _BODIES_OF[type(self._command)]) or self._too_many(body):
            return False
        if isinstance(body, AudioDelta):
            same_rate = self._sample_rate_hz in (0, body.sample_rate_hz)
            return body.sample_rate_hz > 0 and same_rate and len(payload) % _SAMPLE_BYTES == 0
        return not payload

    def take(self, body: ResultBody, payload: bytes) -> bytes | None:
        """Count a result as delivered. Return the new part of its payload; None: nothing is new."""
        if isinstance(body, AudioDelta):
            return self._take_audio(body, payload)
        if isinstance(body, TextDelta):
            self._text.append(body.text)
            return payload if body.text else None
        self._answered = True
        self._calls_to_come = isinstance(body, FunctionCalled) and body.more_follow
        return payload

    def begin_attempt(self) -> None:
        """Prepare for results that start again at index 0."""
        self._samples_to_skip = self._samples

    def remaining_command(self) -> Command:
        """Return the command that brings what is missing."""
        text = "".join(self._text)
        if not isinstance(self._command, Generate) or not text:
            return self._command
        messages = self._command.messages
        if messages and messages[-1].role == "assistant":
            messages, text = messages[:-1], messages[-1].content + text
        return msgspec.structs.replace(
            self._command,
            # It is read like any earlier answer, and could end its turn with a whole mark.
            messages=(*messages, *unmarked((ChatMessage("assistant", text),))),
            max_output_tokens=max(1, self._command.max_output_tokens - self._tokens_at_least),
        )

    @property
    def _tokens_at_least(self) -> int:
        """A delta is one token or more, and so is a word: fast models send several in a delta."""
        return max(len(self._text), len("".join(self._text).split()))

    def _too_many(self, body: ResultBody) -> bool:
        return isinstance(body, Transcript | TurnEnd) and self._answered

    def _take_audio(self, body: AudioDelta, pcm: bytes) -> bytes | None:
        samples = len(pcm) // _SAMPLE_BYTES
        skipped = min(samples, self._samples_to_skip)
        self._samples_to_skip -= skipped
        self._samples += samples - skipped
        self._sample_rate_hz = body.sample_rate_hz
        return pcm[skipped * _SAMPLE_BYTES :] or None
