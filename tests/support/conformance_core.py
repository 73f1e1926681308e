"""Scenarios of docs/compatibility.md that go through a session's core.

There a worker can fail, time can pass and a job be looked at. The decorator names the settings
whose effect a scenario asserts.
"""

from collections.abc import Callable

from conformance_socket import TOOL
from conformance_talk import RecordedRig, Scenario, user_text
from session_rig import PAUSE, SPEECH, answer, spoken_turn, turn_detection

from antiphon_proto.messages import Done, Failed, FunctionCalled, Generate, Transcribe

Talk = Callable[[RecordedRig], None]
SCENARIOS: list[Scenario[RecordedRig]] = []


def shows(*effects: str) -> Callable[[Talk], Talk]:
    """Make a scenario of a talk."""

    def keep(talk: Talk) -> Talk:
        SCENARIOS.append(Scenario(talk.__name__, talk, effects, {}))
        return talk

    return keep


@shows("truncation")
def a_conversation_may_not_be_cut_at_all(rig: RecordedRig) -> None:
    for truncation, enabled in (("disabled", False), ("auto", True)):
        rig.send(type="session.update", session={"truncation": truncation})
        rig.send(type="conversation.item.create", item=user_text("Hi."))
        rig.send(type="response.create")
        asked = rig.job(Generate).command
        assert isinstance(asked, Generate)
        assert asked.truncation.enabled is enabled
        answer(rig, "Yes.", clause_ms=100)
        rig.pass_time(2_000)


@shows("audio.input.turn_detection.idle_timeout_ms")
def the_server_speaks_up_when_nobody_does(rig: RecordedRig) -> None:
    turn_detection(rig, {"type": "server_vad", "idle_timeout_ms": 5_000})
    rig.speak(SPEECH + "." * 20)
    rig.transcribe("What time is it?")
    rig.speak("." * 5)
    answer(rig, "It is noon.", clause_ms=500)
    rig.pass_time(10_000)
    rig.last("input_audio_buffer.timeout_triggered")


@shows("audio.input.turn_detection.threshold")
def what_is_less_probable_than_the_threshold_is_no_speech(rig: RecordedRig) -> None:
    for threshold, speaks in ((0.95, False), (0.5, True)):
        turn_detection(rig, {"type": "server_vad", "threshold": threshold})
        rig.speak(SPEECH)
        started = "input_audio_buffer.speech_started" in [one["type"] for one in rig.events]
        assert started is speaks


@shows("parallel_tool_calls")
def functions_are_called_one_at_a_time_where_that_is_asked_for(rig: RecordedRig) -> None:
    calls = []
    for parallel in (True, False):
        session = {"tools": [TOOL], "parallel_tool_calls": parallel}
        rig.send(type="session.update", session=session)
        rig.send(type="conversation.item.create", item=user_text("What time is it?"))
        rig.send(type="response.create")
        model = rig.job(Generate)
        for _ in range(2):
            rig.answer(model, FunctionCalled(name="get_time", arguments="{}"))
        rig.answer(model, Done(engine_ms=1))
        calls.append(len(rig.last("response.done")["response"]["output"]))
    assert calls == [2, 1]


@shows("audio.input.turn_detection.eagerness")
def the_more_eager_waits_less(rig: RecordedRig) -> None:
    waited = []
    for eagerness in ("high", "medium", "low"):
        turn_detection(rig, {"type": "semantic_vad", "eagerness": eagerness})
        rig.speak(SPEECH)
        before = len(rig.turn_ends)
        windows = 0
        while len(rig.turn_ends) == before:
            rig.speak(".")
            windows += 1
        waited.append(windows)
        rig.transcribe("")
    assert waited[0] < waited[1] < waited[2]


@shows(
    "instructions",
    "tools[].description",
    "tools[].parameters",
    "truncation.type",
    "truncation.retention_ratio",
    "truncation.token_limits.post_instructions",
    "audio.input.transcription.language",
    "audio.input.transcription.prompt",
)
def what_a_session_says_reaches_the_models(rig: RecordedRig) -> None:
    heard = {"model": "whisper-1", "language": "de", "prompt": "Oslo"}
    limits = {"token_limits": {"post_instructions": 500}}
    truncation = {"type": "retention_ratio", "retention_ratio": 0.8, **limits}
    rig.send(
        type="session.update",
        session={
            "instructions": "Be brief.",
            "truncation": truncation,
            "tools": [TOOL],
            "audio": {"input": {"transcription": heard}},
        },
    )
    rig.speak(SPEECH + PAUSE)
    assert rig.job(Transcribe).command == Transcribe(final=True, language="de", prompt="Oslo")
    rig.transcribe("Wie spät ist es?")
    asked = rig.job(Generate).command
    assert isinstance(asked, Generate)
    assert asked.messages[0].content == "Be brief."
    (function,) = asked.functions
    assert (function.description, function.parameters) == (TOOL["description"], TOOL["parameters"])
    assert (asked.truncation.retention_ratio, asked.truncation.conversation_tokens) == (0.8, 500)


@shows()
def what_fails_inside_is_told(rig: RecordedRig) -> None:
    spoken_turn(rig, "Hello.")
    broken = Failed(code="poison_job", message="x", retryable=False)
    rig.answer(rig.job(Generate), broken)
    failed = rig.last("response.done")["response"]
    assert failed["status_details"]["error"]["code"] == "poison_job"
    rig.speak(SPEECH + "." * 70)
    rig.answer(rig.job(Transcribe), broken)
    rig.last("conversation.item.input_audio_transcription.failed")
