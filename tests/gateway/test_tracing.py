"""What a session's observers tell: job records, metrics, spans."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.effects import (
    CancelJobs,
    NoteClientUnderruns,
    NoteTurn,
    SendAudio,
    SendEvent,
    Submit,
)
from antiphon_gateway.metrics import Metrics
from antiphon_gateway.observers import SessionObserver
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.audio_formats import Pcm
from antiphon_gateway.realtime.response_object import (
    ResponseAudio,
    ResponseAudioOutput,
    ResponseObject,
    cancelled,
)
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    Done,
    Generate,
    Result,
    ResultBody,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
)

SECRET = "the canary sings"
HEARD = Transcribe(final=True)
ASKED = Generate(messages=(ChatMessage("user", SECRET),), max_output_tokens=9, temperature=0.0)
SAID = Synthesize(text=SECRET, voice="")


def submit(job_id: str, command: Command, payload: bytes = b"") -> Submit:
    return Submit(
        Request(
            job_id=job_id,
            session_id="s",
            turn_id=7,
            revision=0,
            command=command,
            payload=payload,
            budget_ms=1_000,
        )
    )


def result(job_id: str, body: ResultBody) -> Result:
    return Result(
        job_id=job_id, session_id="s", turn_id=7, revision=0, attempt=1, index=0, body=body
    )


def response(**fields: object) -> ResponseObject:
    audio = ResponseAudio(output=ResponseAudioOutput(format=Pcm(), voice="v"))
    return ResponseObject(
        id="resp",
        output_modalities=("audio",),
        max_output_tokens=9,
        audio=audio,
        **fields,  # type: ignore[arg-type]
    )


def hold_turn(observer: SessionObserver) -> None:
    """A whole turn: one second of speech, an answer of half a second."""
    second = bytes(32_000)
    observer.effect(submit("stt", HEARD, second), 1_000.0)
    observer.result(result("stt", Transcript(text=SECRET)), b"", 1_090.0)
    observer.result(result("stt", Done(engine_ms=100.0)), b"", 1_100.0)
    observer.effect(SendEvent(events.ResponseCreated(response=response())), 1_100.0)
    observer.effect(submit("llm", ASKED), 1_100.0)
    observer.result(result("llm", TextDelta(text=SECRET)), b"", 1_150.0)
    observer.effect(submit("tts", SAID), 1_150.0)
    done = Done(engine_ms=80.0, input_tokens=11, output_tokens=3)
    observer.result(result("llm", done), b"", 1_200.0)
    half = bytes(24_000)
    observer.result(result("tts", AudioDelta(sample_rate_hz=24_000)), half, 1_250.0)
    observer.effect(NoteTurn(7, "resp", {"audio_sent": 260.0, "transcript": 100.0}), 1_260.0)
    audio = SendAudio("resp", "item", 1, 0, 24_000, Pcm(), half)
    observer.effect(audio, 1_260.0)
    observer.result(result("tts", Done(engine_ms=50.0)), b"", 1_300.0)
    observer.effect(submit("void", SAID), 1_300.0)
    observer.effect(CancelJobs(("void",)), 1_350.0)
    done_event = events.ResponseDone(response=response(status="completed"))
    observer.effect(SendEvent(done_event), 1_400.0)


def test_a_turn_is_one_trace_with_a_span_for_each_job_and_no_words() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = Metrics(provider.get_tracer("test"))
    hold_turn(metrics.observer("sess", "a-model"))
    spans = {span.name: span for span in exporter.get_finished_spans()}
    names = [span.name for span in exporter.get_finished_spans()]
    assert sorted(names) == ["antiphon.turn", "llm", "playback", "stt", "tts", "tts"]
    root = spans["antiphon.turn"]
    assert {span.context.trace_id for span in spans.values()} == {root.context.trace_id}
    others = [span for span in exporter.get_finished_spans() if span is not root]
    assert {span.parent.span_id for span in others if span.parent} == {root.context.span_id}
    assert root.end_time - root.start_time == 400_000_000
    assert spans["llm"].end_time - spans["llm"].start_time == 100_000_000
    attributes = dict(spans["llm"].attributes or {})
    assert attributes["gen_ai.request.model"] == "a-model"
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["antiphon.first_result_ms"] == 50.0
    outcomes = [dict(span.attributes or {}).get("antiphon.outcome") for span in others]
    assert sorted(str(outcome) for outcome in outcomes) == [
        "None", "cancelled", "done", "done", "done",
    ]  # fmt: skip
    assert not [span for span in exporter.get_finished_spans() if SECRET in span.to_json()]


def test_without_a_tracer_nothing_is_traced() -> None:
    hold_turn(Metrics().observer("sess", "a-model"))


async def test_a_turns_figures_are_those_of_its_jobs() -> None:
    metrics = Metrics()
    observer = metrics.observer("sess", "a-model")
    hold_turn(observer)
    observer.effect(NoteClientUnderruns(2), 1_500.0)
    interrupted = response(status="cancelled", status_details=cancelled("turn_detected"))
    observer.effect(SendEvent(events.ResponseDone(response=interrupted)), 1_600.0)
    lines = (await metrics.text()).decode().splitlines()
    for expected in (
        "antiphon_stt_final_delay_seconds_sum 0.1",
        "antiphon_turn_response_latency_seconds_sum 0.26",
        "antiphon_llm_time_to_first_token_seconds_sum 0.05",
        "antiphon_tts_time_to_first_byte_seconds_sum 0.1",
        'antiphon_realtime_factor_sum{stage="stt"} 0.1',
        'antiphon_realtime_factor_sum{stage="tts"} 0.1',
        "antiphon_client_playback_underruns_total 2.0",
        "antiphon_interruptions_total 1.0",
        'antiphon_turns_total{outcome="completed"} 1.0',
    ):
        assert expected in lines, expected
    assert SECRET not in "\n".join(lines)
