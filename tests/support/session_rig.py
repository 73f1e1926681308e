"""Drives a session's pure core by hand: only the test moves the clock and answers the jobs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.effects import (
    CancelJobs,
    DetectSpeech,
    NoteTurnEnd,
    Retrieve,
    SendAudio,
    SendEvent,
    Submit,
)
from antiphon_gateway.prompt_warming import MessageEnd
from antiphon_gateway.realtime import catalogue, client_events, server_events
from antiphon_gateway.realtime.session_settings import SessionType
from antiphon_gateway.retrieval.passage import Passage
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    AudioDelta,
    Command,
    Done,
    Failed,
    FunctionCalled,
    Generate,
    PredictTurnEnd,
    Result,
    ResultBody,
    Synthesize,
    TextDelta,
    Transcribe,
    Transcript,
    TurnEnd,
)

WINDOW_MS = 32
_LOUD = b"\x00\x20\x00\xe0" * (WINDOW_SAMPLES // 2)
SPEECH = "x" * 20
PAUSE = "." * 7
"""224 ms: the final transcript was asked for, after 96 ms."""
END = "." * 63
"""2,016 ms: the hard end of `semantic_vad`, `auto`."""


TIME = {
    "type": "function",
    "name": "get_time",
    "description": "Tell the time",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LAMP = {"type": "function", "name": "set_lamp"}
OSLO = '{"city": "Oslo"}'


class Rig:
    """One session, its clock, what it sent and the jobs it has open."""

    def __init__(
        self,
        *,
        extensions: bool = False,
        config: Config | None = None,
        partial_as_final: bool = False,
        kind: SessionType = "realtime",
    ) -> None:
        """Without reading ahead, unless `config` says so: what is asked for is what is tested."""
        config = config or Config(turn_taking=TurnTaking(warming=False))
        # Tests count windows: a pause is 3 of them, a partial transcript is due after 19.
        taking = config.turn_taking
        interval_ms = 600 if taking.partial_interval_ms else 0
        taking = structs.replace(
            taking,
            eager_silence_ms=96,
            partial_interval_ms=interval_ms,
            partial_as_final=partial_as_final,
        )
        config = structs.replace(config, turn_taking=taking)
        self.load = StageLoad(slots=4)
        """How busy every stage is."""
        numbers: dict[str, int] = {}

        def new_id(prefix: str) -> str:
            numbers[prefix] = numbers.get(prefix, 0) + 1
            return f"{prefix}_{numbers[prefix]}"

        context = SessionContext(
            config,
            session_id="sess_1",
            extensions=extensions,
            new_id=new_id,
            load=lambda _: self.load,
        )
        self.session = Session(context, catalogue.from_config(config), kind)
        self.now_ms = 0.0
        self.client_ahead_ms = 50_000.0
        """How far the client's clock is ahead of the server's."""
        self.uplink_ms = 0.0
        self.events: list[dict[str, Any]] = []
        self.audio: list[SendAudio] = []
        self.jobs: dict[str, Request] = {}
        self.cancelled: list[str] = []
        self.detected_bytes = 0
        self.turn_ends: list[NoteTurnEnd] = []
        self.submissions: list[Request] = []
        self.lookups: list[Retrieve] = []
        self._indexes: dict[str, int] = {}
        self.session.open(self.now_ms)
        self._settle()

    # --- the client ------------------------------------------------------------------------

    def send(self, **event: Any) -> None:
        """Send a client event, through its JSON."""
        text = msgspec.json.encode(event)
        self.session.on_event(client_events.decode(text), self.now_ms)
        self._settle()

    def speak(self, script: str) -> None:
        """Let the user speak (`x`) or be silent (`.`), one 32 ms window per character.

        Only the sound of `X`, which is speech too, is loud; `-` may be speech or not.
        """
        for mark in script:
            self.now_ms += WINDOW_MS
            captured_us = round((self.now_ms - WINDOW_MS + self.client_ahead_ms) * 1000)
            arrived_ms = self.now_ms + self.uplink_ms
            sound = _LOUD if mark == "X" else bytes(2 * WINDOW_SAMPLES)
            self.session.on_audio(sound, 16_000, arrived_ms, captured_us)
            probability = {"x": 0.9, "X": 0.9, "-": 0.35, ".": 0.01}[mark]
            self.session.on_speech_probabilities([probability], self.now_ms)
            self._settle()
            self.pass_time(0)

    def examine(self, script: str) -> None:
        """Deliver the speech probabilities of audio that was sent before."""
        probabilities = [0.9 if mark == "x" else 0.01 for mark in script]
        self.session.on_speech_probabilities(probabilities, self.now_ms)
        self._settle()

    def pass_time(self, duration_ms: float) -> None:
        """Move the clock, stopping at every time the session asks for."""
        end_ms = self.now_ms + duration_ms
        while True:
            due_ms = self.session.next_due_ms(self.now_ms)
            if due_ms is None or due_ms > end_ms:
                break
            self.now_ms = max(self.now_ms, due_ms)
            before = len(self.audio)
            self.session.advance(self.now_ms)
            self._settle()
            if len(self.audio) == before and due_ms <= self.now_ms:
                self.now_ms += 1
        self.now_ms = max(self.now_ms, end_ms)

    # --- the workers -----------------------------------------------------------------------

    def job(self, kind: type[Command]) -> Request:
        """Return the oldest open job of a kind."""
        return next(job for job in self.jobs.values() if isinstance(job.command, kind))

    def submitted(self, kind: type[Command]) -> int:
        """Return how many jobs of a kind were asked for so far."""
        return sum(isinstance(request.command, kind) for request in self.submissions)

    def answer(self, request: Request, body: ResultBody, payload: bytes = b"") -> None:
        """Answer a job with one result."""
        index = self._indexes.get(request.job_id, 0)
        self._indexes[request.job_id] = index + 1
        if isinstance(body, Done | Failed):
            self.jobs.pop(request.job_id, None)
        result = Result(
            job_id=request.job_id,
            session_id=request.session_id,
            turn_id=request.turn_id,
            revision=request.revision,
            attempt=1,
            index=index,
            body=body,
        )
        self.session.on_result(result, payload, self.now_ms)
        self._settle()

    def sound(self, probability: float) -> None:
        """Answer how the pause sounds."""
        job = self.job(PredictTurnEnd)
        self.answer(job, TurnEnd(probability=probability))
        self.answer(job, Done(engine_ms=1))

    def message_end(self, text: str, probability: float, phrase_end: float | None = None) -> None:
        """Tell how probable it is that the user's message, or a phrase of it, ends after a text."""
        self.session.on_message_end(MessageEnd(text, probability, phrase_end), self.now_ms)
        self._settle()

    def transcribe(self, text: str, **probabilities: float) -> None:
        """Answer the oldest transcription."""
        job = self.job(Transcribe)
        self.answer(job, Transcript(text=text, **probabilities))
        self.answer(job, Done(engine_ms=1))

    def generate(self, *deltas: str, finish: bool = True) -> Request:
        """Answer the oldest generation."""
        job = self.job(Generate)
        for delta in deltas:
            self.answer(job, TextDelta(text=delta))
        if finish:
            self.answer(job, Done(engine_ms=1, input_tokens=7, output_tokens=3))
        return job

    def synthesize(self, duration_ms: int) -> Request:
        """Answer the oldest synthesis with so much audio at 24 kHz."""
        job = self.job(Synthesize)
        self.answer(job, AudioDelta(sample_rate_hz=24_000), bytes(48 * duration_ms))
        self.answer(job, Done(engine_ms=1))
        return job

    def passages(self, lookup: Retrieve, found: Sequence[Passage]) -> None:
        """Answer a lookup of passages."""
        self.session.on_passages(lookup.lookup, found, self.now_ms)
        self._settle()

    # --- what came of it -------------------------------------------------------------------

    def types(self) -> list[str]:
        """Return the types of the events sent, and forget them."""
        types = [event["type"] for event in self.events]
        self.events.clear()
        return types

    def last(self, kind: str) -> dict[str, Any]:
        """Return the newest event of a type."""
        return next(event for event in reversed(self.events) if event["type"] == kind)

    def audio_ms(self) -> float:
        """Return how much response audio was sent."""
        return sum(len(audio.pcm) / 2 / audio.sample_rate_hz * 1000 for audio in self.audio)

    def take(self) -> None:
        """Take the effects of what was done to the session directly."""
        self._settle()

    def _settle(self) -> None:
        for effect in self.session.take_effects():
            if isinstance(effect, SendEvent):
                self.events.append(msgspec.json.decode(server_events.encode(effect.event)))
            elif isinstance(effect, SendAudio):
                self.audio.append(effect)
            elif isinstance(effect, Submit):
                self.jobs[effect.request.job_id] = effect.request
                self.submissions.append(effect.request)
            elif isinstance(effect, CancelJobs):
                self.cancelled += effect.job_ids
                for job_id in effect.job_ids:
                    self.jobs.pop(job_id, None)
            elif isinstance(effect, DetectSpeech):
                self.detected_bytes += len(effect.pcm)
            elif isinstance(effect, Retrieve):
                self.lookups.append(effect)
            elif isinstance(effect, NoteTurnEnd):
                self.turn_ends.append(effect)


def spoken_turn(rig: Rig, text: str = "What time is it?") -> None:
    """Let the user say something complete and fall silent."""
    rig.speak(SPEECH + PAUSE)
    rig.transcribe(text)
    rig.speak("." * 10)


def answer(rig: Rig, *clauses: str, clause_ms: int = 500) -> None:
    """Let the workers answer in clauses of the same length."""
    rig.generate(*clauses)
    for _ in clauses:
        rig.synthesize(clause_ms)


def turn_detection(rig: Rig, detection: dict[str, Any] | None) -> None:
    """Change the turn detection."""
    rig.send(type="session.update", session={"audio": {"input": {"turn_detection": detection}}})


def text_item(rig: Rig, text: str, **fields: Any) -> None:
    """Add a text message of the user."""
    content = [{"type": "input_text", "text": text}]
    rig.send(
        type="conversation.item.create",
        item={"type": "message", "role": "user", "content": content, **fields},
    )


def messages_asked(rig: Rig) -> list[ChatMessage]:
    """Return what the model was asked, without the instructions."""
    command = rig.job(Generate).command
    assert isinstance(command, Generate)
    return list(command.messages[1:])


def history(rig: Rig) -> list[tuple[str, str]]:
    """Return who said what."""
    return [(said.role, said.content) for said in rig.session.history.conversation.messages("")]


def with_tools(rig: Rig, **fields: Any) -> None:
    """Offer the functions."""
    rig.send(type="session.update", session={"tools": [TIME, LAMP], **fields})


def call(rig: Rig, *calls: FunctionCalled, text: str = "") -> None:
    """Let the model say a text and call functions."""
    job = rig.job(Generate)
    if text:
        rig.answer(job, TextDelta(text=text))
    for each in calls or (FunctionCalled(name="get_time", arguments=OSLO),):
        rig.answer(job, each)
    rig.answer(job, Done(engine_ms=1, input_tokens=5, output_tokens=2))


def tell_output(rig: Rig, call_id: str, output: str = "10:00") -> None:
    """Tell what a function returned."""
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    rig.send(type="conversation.item.create", item=item)
