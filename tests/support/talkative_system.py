"""A server that speaks at length: simulated engines, and nothing to transcribe with."""

import contextlib
from collections.abc import Iterator, Mapping

from system import GATEWAY, SIMULATED, System, system

REPLY = (
    "This reply can be cut. It has several short sentences. Who is cut off wants to hear the rest."
)
"""Heard in real time, some five seconds."""
TALKATIVE = {
    **SIMULATED,
    "simulated.reply": REPLY,
    "simulated.tts_real_time_factor": 0.05,
    "playout.unreported_lead_ms": 400,
}


def ready_to_speak(server: System) -> bool:
    answer = server.get("/readyz")
    stages = answer.json()["stages"] if answer is not None else {}
    return bool(stages) and stages["llm"]["ready"] and stages["tts"]["ready"]


@contextlib.contextmanager
def talkative(settings: Mapping[str, object]) -> Iterator[System]:
    """A server that can speak; that it cannot transcribe makes no difference here."""
    with system({**TALKATIVE, **settings}) as server:
        server.start(GATEWAY, "llm-0", "tts-0")
        server.wait_for(lambda: ready_to_speak(server), 60.0)
        yield server
        server.assert_no_traceback()
