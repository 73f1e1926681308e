"""Pure: the settings of `antiphon up --simulated`, a server that needs no model at all."""

from antiphon_proto.config import Config
from antiphon_proto.messages import STAGES

SETTINGS = (
    *(f"{stage}.engine=simulated" for stage in STAGES),
    "stt.model=nothing-is-recognised",
    "stt.turn_end_model=",
    "llm.model=fixed-reply",
    "tts.model=440-hz-tone",
    "turn_taking.detector=loudness",
    "turn_taking.least_silence_ms=600",
    "turn_taking.duck=false",
    "turn_taking.barge_in_speech_ms=600000",  # a tone from the loudspeaker must not end itself
    "simulated.transcript=(You said something. No model is here to understand it.)",
    "simulated.reply=This tone is the answer. Microphone, server and loudspeaker work.",
    "simulated.tone_hz=440",
)
"""In the form of `--set`; what the user sets comes after these and wins."""

NOTICE = """\
SIMULATED: no model runs. Everything you say is answered with a 440 Hz tone, which shows that
microphone, server and loudspeaker work. To converse, stop this and run: make run
"""


def is_simulated(config: Config) -> bool:
    """Tell whether no stage runs a model."""
    return all(config.stage(stage).engine == "simulated" for stage in STAGES)
