"""A session against thousands of random inputs: whatever comes, its promises hold."""

import random
from collections import Counter
from typing import Any

import pytest
from session_rig import WINDOW_MS, Rig

from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.vad import WINDOW_SAMPLES
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    Failed,
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

STEPS = 1_500
WORDS = ["What time is it?", "I would like to", "", "Yes.", "And then", "uh"]
TEXTS = [
    "Hello there, ",
    "it is noon. ",
    "👍 ",
    "```x```",
    "*** ",
    "One two three. ",
    "",
    "<think>",
]
PAIRS = [
    ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
    ("response.created", "response.done"),
    ("response.output_item.added", "response.output_item.done"),
    ("response.content_part.added", "response.content_part.done"),
    ("conversation.item.added", "conversation.item.done"),
]
TOOLS: list[list[dict[str, Any]]] = [[], [{"type": "function", "name": "f"}]]
OF_A_TURN = {"input_audio_buffer.speech_started", "response.created"}
"""While one of these is open, the session is in a turn."""
DETECTIONS: list[dict[str, Any] | None] = [
    None,
    {"type": "semantic_vad"},
    {"type": "semantic_vad", "eagerness": "high", "interrupt_response": False},
    {"type": "semantic_vad", "create_response": False},
    {"type": "server_vad", "silence_duration_ms": 0},
    {"type": "server_vad", "silence_duration_ms": 400, "prefix_padding_ms": 0},
]


class Walk:
    """One random session and the promises it must keep at every step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        taking = TurnTaking(max_utterance_ms=3_000)
        self.rig = Rig(
            extensions=self.random.random() < 0.5,
            config=Config(turn_taking=taking),
            partial_as_final=self.random.random() < 0.7,
        )
        self.not_examined = 0
        self.speaks = False
        self.ids = ["nowhere", "mine"]
        self.lost: list[Request] = []
        self.seen_events = self.seen_audio = self.seen_jobs = self.seen_cancels = 0
        self.open: Counter[tuple[str, str]] = Counter()
        self.texts: dict[str, str] = {}
        self.done: set[str] = set()
        self.live: set[str] = set()
        self.next_sample: dict[int, int] = {}
        self.turn = (0, 0)
        self.ducked = ""
        self.paused = False
        self.deletes = False
        self.interrupts = True

    # --- inputs ----------------------------------------------------------------------------

    def step(self) -> None:
        """Do something that a client, a worker or the clock may do."""
        actions = [self.talk, self.talk, self.work, self.work, self.work, self.wait, self.say]
        actions.append(self.score)
        self.deletes = False
        self.random.choice(actions)()
        self.check()

    def talk(self) -> None:
        """Send audio, examined at once, later, or faster than real time."""
        if self.random.random() < 0.15:
            self.speaks = not self.speaks
        for _ in range(self.random.randint(1, 12)):
            self.rig.session.on_audio(bytes(2 * WINDOW_SAMPLES), 16_000)
            self.rig.now_ms += WINDOW_MS
            self.not_examined += 1
        if self.random.random() < 0.8:
            self.rig.examine(("x" if self.speaks else ".") * self.not_examined)
            self.not_examined = 0

    def work(self) -> None:
        """Let a worker send one result; now and then of a job that nobody wants any more."""
        jobs = [*self.rig.jobs.values(), *self.lost[-2:]]
        if jobs:
            job = self.random.choice(jobs)
            self.rig.answer(job, *self.result(job))

    def result(self, job: Request) -> tuple[ResultBody, bytes]:
        """Return a result that a worker might send."""
        chance = self.random.random()
        if chance < 0.02:
            return Failed(code="poison_job", message="x", retryable=False), b""
        if chance < 0.2:
            return Done(engine_ms=1, finish_reason=self.random.choice(["stop", "length"])), b""
        if isinstance(job.command, Transcribe):
            return Transcript(text=self.random.choice(WORDS)), b""
        if isinstance(job.command, PredictTurnEnd | ReadPrompt):
            phrase_end = self.random.choice([None, self.random.random()])
            return TurnEnd(probability=self.random.random(), phrase_end=phrase_end), b""
        if isinstance(job.command, Generate):
            if job.command.functions and chance < 0.5:
                return FunctionCalled(name="f", arguments="{}"), b""
            return TextDelta(text=self.random.choice(TEXTS)), b""
        rate = self.random.choice([22_050, 24_000])
        return AudioDelta(sample_rate_hz=rate), bytes(2 * self.random.randint(0, rate))

    def score(self) -> None:
        """Let the language model tell how probable the end is; of what, may be long past."""
        text = self.random.choice(WORDS)
        self.rig.message_end(text, self.random.random())

    def wait(self) -> None:
        """Let time pass; other sessions come and go."""
        waits_ms = self.random.choice([0, 0, 5_000])
        self.rig.load = StageLoad(int(waits_ms > 0), waits_ms, self.random.randint(0, 4), 4)
        self.rig.pass_time(self.random.choice([0, 10, 300, 3_000]))

    def say(self) -> None:
        """Send a client event; most are fair, some are not."""
        before = len(self.rig.events)
        event = self.random.choice(self.client_events())
        self.deletes = event["type"] == "conversation.item.delete"
        self.rig.send(event_id="walk", **event)
        for event in self.rig.events[before:]:
            if event["type"] == "error":
                assert event["error"]["event_id"] == "walk", event

    def client_events(self) -> list[dict[str, Any]]:
        """Return one event of each kind, with random fields."""
        item_id = self.random.choice(self.ids[-6:])
        # Two open items of one name could not be told apart here.
        new_id = "mine" if self.open["conversation.item.added", item_id] else item_id
        text = {"type": "input_text", "text": "Hi"}
        message = {"type": "message", "role": "user", "content": [text], "id": new_id}
        output = {"type": "function_call_output", "call_id": "c", "output": "o", "id": new_id}
        audio = {"turn_detection": self.random.choice(DETECTIONS)}
        form = {"type": self.random.choice(["audio/pcm", "audio/pcmu"])}
        modalities = [self.random.choice(["audio", "audio", "audio", "text"])]
        response: dict[str, Any] = {"output_modalities": modalities}
        if self.random.random() < 0.3:
            response["conversation"] = "none"
        if self.random.random() < 0.3:
            response["input"] = [{"type": "item_reference", "id": item_id}]
        ms = self.random.randint(0, 5_000)
        return [
            {"type": "input_audio_buffer.commit"},
            {"type": "input_audio_buffer.clear"},
            {"type": "input_audio_buffer.append", "audio": "AAAA"},
            {"type": "output_audio_buffer.clear"},
            {"type": "session.update", "session": {"audio": {"input": audio}}},
            {"type": "session.update", "session": {"audio": {"output": {"format": form}}}},
            {"type": "session.update", "session": {"output_modalities": modalities}},
            {"type": "session.update", "session": {"output_modalities": ["smell"]}},
            {"type": "session.update", "session": {"tools": self.random.choice(TOOLS)}},
            {"type": "conversation.item.create", "item": {**message, "id": None}},
            {"type": "conversation.item.create", "item": self.random.choice([message, output])},
            {"type": "conversation.item.create", "item": message, "previous_item_id": item_id},
            {"type": "conversation.item.delete", "item_id": item_id},
            {"type": "conversation.item.retrieve", "item_id": item_id},
            {
                "type": "conversation.item.truncate",
                "item_id": item_id,
                "content_index": 0,
                "audio_end_ms": ms,
            },
            {"type": "antiphon.playout", "item_id": item_id, "played_ms": ms, "buffered_ms": 0},
            {
                "type": "antiphon.turn.played",
                "item_id": item_id,
                "received_us": ms,
                "started_us": ms,
                "heard_us": 2 * ms,
            },
            {"type": "response.create"},
            {"type": "response.create", "response": response},
            {"type": "response.cancel"},
        ]

    # --- promises --------------------------------------------------------------------------

    def check(self) -> None:
        """Look at what is new since the last step."""
        self.check_jobs()
        self.check_audio()
        for event in self.rig.events[self.seen_events :]:
            self.check_event(event)
        self.check_interruptions(self.rig.events[self.seen_events :])
        self.seen_events = len(self.rig.events)
        due_ms = self.rig.session.next_due_ms(self.rig.now_ms)
        assert due_ms is None or due_ms >= self.rig.now_ms
        if any(count for (what, _), count in self.open.items() if what in OF_A_TURN):
            assert self.rig.session.in_turn(self.rig.now_ms)

    def check_jobs(self) -> None:
        """The session knows its open jobs, cancels no others, and its turns only go forward."""
        for job in self.rig.submissions[self.seen_jobs :]:
            assert (job.turn_id, job.revision) >= self.turn
            self.turn = (job.turn_id, job.revision)
            self.live.add(job.job_id)
            self.lost.append(job)
        self.seen_jobs = len(self.rig.submissions)
        cancelled = self.rig.cancelled[self.seen_cancels :]
        self.seen_cancels = len(self.rig.cancelled)
        assert self.live.issuperset(cancelled)
        assert sorted(self.rig.session.open_jobs()) == sorted(self.rig.jobs)
        self.live = set(self.rig.jobs)
        sounds = [job for job in self.rig.jobs.values() if isinstance(job.command, PredictTurnEnd)]
        assert len(sounds) <= 1
        readings = [job for job in self.rig.jobs.values() if isinstance(job.command, ReadPrompt)]
        assert len(readings) <= 1
        speech = [job for job in self.rig.jobs.values() if isinstance(job.command, Synthesize)]
        assert len(speech) <= 4

    def check_event(self, event: dict[str, Any]) -> None:
        """What is opened is closed once; what is committed is transcribed once."""
        kind = event["type"]
        name = _subject(event)
        if kind in ("conversation.item.added", "input_audio_buffer.speech_started"):
            self.ids.append(name)
        for opening, closing in PAIRS:
            if kind == opening:
                assert not self.open[opening, name], event
                self.open[opening, name] += 1
            elif kind == closing:
                assert self.open[opening, name] == 1, event
                self.open[opening, name] -= 1
        if kind == "response.done":
            self.done.add(name)
        if kind == "conversation.item.deleted" and not self.deletes:
            self.open["transcript", name] = 0
        if kind == "response.output_audio_transcript.delta":
            self.texts[name] = self.texts.get(name, "") + event["delta"]
        if kind == "response.output_audio_transcript.done":
            assert self.texts.get(name, "").startswith(event["transcript"]), event
        if kind == "input_audio_buffer.committed":
            self.open["transcript", name] += 1
        if kind.endswith(("transcription.completed", "transcription.failed")):
            self.open["transcript", name] -= 1
            assert self.open["transcript", name] == 0, event
        for one in ("response.created", "input_audio_buffer.speech_started"):
            assert sum(count for (what, _), count in self.open.items() if what == one) <= 1

    def check_interruptions(self, events: list[dict[str, Any]]) -> None:
        """A duck ends; who is told that the user speaks hears no more of the response."""
        for event in events:
            kind = event["type"]
            if kind == "antiphon.duck":
                assert self.rig.session.context.extensions
                deeper = event["paused"] and not self.paused
                assert event["ducked"] == (not self.ducked) or deeper, event
                assert event["ducked"] or not event["paused"], event
                self.paused = event["paused"]
                assert self.ducked in ("", event["item_id"])
                self.ducked = event["item_id"] if event["ducked"] else ""
            elif kind == "session.updated":
                detection = event["session"]["audio"]["input"]["turn_detection"]
                self.interrupts = detection is not None and detection["interrupt_response"]
            elif kind == "input_audio_buffer.speech_started":
                self.ducked, self.paused = "", False
        kinds = [event["type"] for event in events]
        if kinds.count("input_audio_buffer.speech_started") and "response.created" not in kinds:
            assert not (self.interrupts and self.rig.session.audible(self.rig.now_ms))

    def check_audio(self) -> None:
        """Audio has no gaps, and none follows the end of its response."""
        for audio in self.rig.audio[self.seen_audio :]:
            assert audio.response_id not in self.done
            assert audio.first_sample == self.next_sample.get(audio.stream, 0)
            self.next_sample[audio.stream] = audio.first_sample + len(audio.pcm) // 2
        self.seen_audio = len(self.rig.audio)

    def finish(self) -> None:
        """Let everything come to its end; nothing is left open."""
        self.rig.send(type="session.update", session={"audio": {"input": {"turn_detection": None}}})
        for _ in range(60):
            for job in list(self.rig.jobs.values()):
                if job.job_id in self.rig.jobs:
                    self.rig.answer(job, Done(engine_ms=1))
            self.rig.pass_time(5_000)
            self.check()
        left = {what: count for what, count in self.open.items() if count}
        assert left == {}
        assert not self.ducked
        assert self.rig.jobs == {}
        assert self.rig.session.next_due_ms(self.rig.now_ms) is None
        assert not self.rig.session.in_turn(self.rig.now_ms)


def _subject(event: dict[str, Any]) -> str:
    for holder in ("item", "response"):
        if holder in event:
            return str(event[holder]["id"])
    return str(event.get("item_id", event.get("response_id", "")))


@pytest.mark.parametrize("seed", range(24))
def test_a_session_keeps_its_promises_whatever_comes(seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - shown when the walk fails
    walk = Walk(seed)
    for _ in range(STEPS):
        walk.step()
    walk.finish()
