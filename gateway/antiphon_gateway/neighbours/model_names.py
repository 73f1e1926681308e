"""The models that clients may name: ours, and OpenAI's that stand for them. Pure."""

from typing import Any

from antiphon_gateway.realtime import openai_names
from antiphon_gateway.running_models import RunningModels
from antiphon_proto.messages import STAGES, Stage

OWNER = "antiphon"


class ModelNames:
    """The models of the stages; every name that a client sends is answered by one of them."""

    def __init__(self, running: RunningModels, created_s: int) -> None:
        """`created_s`: what clients are told as the Unix time of the models' making."""
        self._running = running
        self._created_s = created_s

    def listing(self) -> dict[str, Any]:
        """Return the list of our models, the language model first."""
        stages: tuple[Stage, ...] = ("llm", "stt", "tts")
        names = dict.fromkeys(name for stage in stages for name in self._running.names(stage))
        return {"object": "list", "data": [self._object(name) for name in names]}

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a model by its name or by one of OpenAI's; None when it is neither."""
        if any(name in self._running.names(stage) for stage in STAGES):
            return self._object(name)
        stage = openai_names.stage_of(name)
        if stage is None:
            return None
        return {**self._object(name), "root": self._running.names(stage)[0]}

    def _object(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created_s, "owned_by": OWNER}
