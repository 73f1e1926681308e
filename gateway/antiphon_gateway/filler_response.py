"""A response that says a set text while the client's functions run. Pure."""

from antiphon_gateway.realtime import response_object
from antiphon_gateway.response import Response
from antiphon_proto.messages import Done, TextDelta


class FillerResponse(Response):
    """A spoken response without a model, which gives way to whatever else is to be said."""

    is_filler = True

    def say(self, text: str, now_ms: float) -> None:
        """Speak this text and nothing else."""
        self._on_model(TextDelta(text=text), now_ms)
        self._on_model(Done(engine_ms=0.0), now_ms)

    @property
    def waits(self) -> bool:
        """It never waits for the model."""
        return False

    def give_way(self, now_ms: float) -> None:
        """Stop at the end of a word. What was handed out will be heard, so it stays."""
        if self._speech is not None and (rest := self._speech.finish_word(now_ms)):
            self._hand_out(rest)
        self._stop_jobs()
        self._end("cancelled", response_object.cancelled("client_cancelled"), self._sent_text())
