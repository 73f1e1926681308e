"""The models that clients may name: ours, and OpenAI's that stand for them. Pure."""

from typing import Any

from antiphon_gateway.realtime import openai_names
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_proto.messages import Stage

OWNER = "antiphon"


class ModelNames:
    """One model a stage; every name that a client sends is answered by one of them."""

    def __init__(self, catalogue: Catalogue, created_s: int) -> None:
        """`created_s`: what clients are told as the Unix time of the models' making."""
        self._created_s = created_s
        self._names: dict[Stage, str] = {
            "stt": catalogue.transcription_model,
            "llm": catalogue.model,
            "tts": catalogue.voices[0],
        }

    def of_stage(self, stage: Stage) -> str:
        """Return the model that serves a stage."""
        return self._names[stage]

    def listing(self) -> dict[str, Any]:
        """Return the list of our models, the language model first."""
        stages: tuple[Stage, ...] = ("llm", "stt", "tts")
        names = dict.fromkeys(self._names[stage] for stage in stages)
        return {"object": "list", "data": [self._object(name) for name in names]}

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a model by its name or by one of OpenAI's; None when it is neither."""
        if name in self._names.values():
            return self._object(name)
        stage = openai_names.stage_of(name)
        return None if stage is None else {**self._object(name), "root": self._names[stage]}

    def _object(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created_s, "owned_by": OWNER}
