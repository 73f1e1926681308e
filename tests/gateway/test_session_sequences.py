"""Sequences of valid and invalid client events: each is carried out or refused by the rules.

More of them: CONTRIBUTING.md says how.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as some
from session_rig import Rig, spoken_turn

from antiphon_gateway.realtime import client_events
from antiphon_gateway.realtime.errors import ERROR_CODES, InvalidEvent
from antiphon_proto.config import Config, Tools, TurnTaking
from antiphon_proto.messages import Done, Failed, FunctionCalled, Generate, TextDelta

CONFIG = Config(
    turn_taking=TurnTaking(warming=False),
    tools=Tools(filler="One moment please.", filler_after_ms=100),
)
SEQUENCES = int(os.environ.get("ANTIPHON_SEQUENCES", "100"))
IDS = some.sampled_from(["item_1", "item_2", "item_3", "mine", "nowhere", "", "x" * 65, "root"])
NEW_IDS = some.sampled_from(["mine", "yours", "", "x" * 65, "root"])
"""Ids that a client makes up; it cannot guess those of the server."""
JUNK: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, also what no field allows."""
TEXT_PART = some.fixed_dictionaries(
    {"type": some.sampled_from(["input_text", "output_text", "text"]), "text": some.text()}
)
SPEECH_PART = some.fixed_dictionaries(
    {"type": some.just("input_audio")},
    optional={"transcript": some.none() | some.text(), "audio": some.sampled_from(["", "AAAA"])},
)
MESSAGE = some.fixed_dictionaries(
    {
        "type": some.just("message"),
        "role": some.sampled_from(["user", "assistant", "system", "tool"]),
        "content": some.lists(TEXT_PART | SPEECH_PART, max_size=3),
    },
    optional={"id": NEW_IDS},
)
CALL = some.fixed_dictionaries(
    {"type": some.just("function_call"), "name": some.text(), "arguments": some.text()},
    optional={"call_id": IDS, "id": NEW_IDS},
)
OUTPUT = some.fixed_dictionaries(
    {"type": some.just("function_call_output"), "call_id": IDS, "output": some.text()},
    optional={"id": NEW_IDS},
)
ITEM = MESSAGE | CALL | OUTPUT | JUNK
TOOL = some.fixed_dictionaries(
    {"type": some.just("function"), "name": some.sampled_from(["f", "g", ""])},
    optional={"parameters": some.just({"type": "object"}), "description": some.text()},
)
CHOICE = some.sampled_from(
    ["auto", "none", "required", "maybe", {"type": "function", "name": "f"}, {"type": "mcp"}]
)
RESPONSE = some.fixed_dictionaries(
    {},
    optional={
        "instructions": some.text(),
        "output_modalities": some.sampled_from([["audio"], ["text"], ["audio", "text"], []]),
        "max_output_tokens": some.sampled_from([1, 4096, "inf", 0, "all"]),
        "conversation": some.sampled_from(["auto", "none", "other"]),
        "input": some.lists(ITEM | some.builds(lambda i: {"type": "item_reference", "id": i}, IDS),
                            max_size=2),
        "tools": some.lists(TOOL, max_size=2),
        "tool_choice": CHOICE,
        "metadata": some.none() | some.dictionaries(some.text(), some.text(), max_size=2) | JUNK,
    },
)  # fmt: skip
SESSION = some.fixed_dictionaries(
    {},
    optional={
        "type": some.sampled_from(["realtime", "transcription", "other"]),
        "instructions": some.text() | JUNK,
        "tools": some.lists(TOOL, max_size=2),
        "tool_choice": CHOICE,
        "truncation": some.sampled_from(["auto", "disabled", {"type": "retention_ratio"}, 3]),
        "audio": some.fixed_dictionaries(
            {},
            optional={
                "input": some.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": some.none()
                        | some.sampled_from([{"type": "server_vad"}, {"type": "semantic_vad"}])
                        | JUNK,
                        "transcription": some.none() | JUNK,
                    },
                ),
                "output": JUNK,
            },
        ),
        "later": JUNK,
    },
)


def event(kind: str, **fields: some.SearchStrategy[Any]) -> some.SearchStrategy[dict[str, Any]]:
    """Return events of a kind, now and then with a field that is missing or wrong."""
    type_ = some.just({"type": kind})
    fair = some.fixed_dictionaries(fields)
    odd = some.fixed_dictionaries({}, optional={name: JUNK for name in fields})
    return some.builds(lambda a, b: {**b, **a}, type_, fair | fair | fair | odd)


EVENT = some.one_of(
    event("session.update", session=SESSION),
    event("input_audio_buffer.append", audio=some.sampled_from(["", "AA==", "AAAA" * 2_000, "!"])),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("output_audio_buffer.clear"),
    event("conversation.item.create", item=ITEM),
    event("conversation.item.create", item=ITEM, previous_item_id=IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.delete", item_id=IDS),
    event("conversation.item.truncate", item_id=IDS, content_index=some.integers(-1, 2),
          audio_end_ms=some.integers(-1, 5_000)),
    event("response.create"),
    event("response.create", response=RESPONSE),
    event("response.cancel"),
    event("response.cancel", response_id=IDS),
    event("antiphon.playout", item_id=IDS, played_ms=some.integers(0, 900),
          buffered_ms=some.just(0)),
    event("not.an.event"),
)  # fmt: skip
ANSWERED = {
    "session.update": "session.updated",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "conversation.item.create": "conversation.item.done",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.delete": "conversation.item.deleted",
    "response.create": "response.created",
    "response.cancel": "response.done",
}
"""What tells the client that its event was carried out; the others may be silent."""
STEP = EVENT | some.sampled_from(["speech", "silence", "model", "call", "failure", "voice", "time"])


def decoded(text: str) -> tuple[client_events.ClientEvent | None, InvalidEvent | None]:
    """Return the event, or why it is refused."""
    try:
        return client_events.decode(text), None
    except InvalidEvent as error:
        return None, error


def send(rig: Rig, raw: dict[str, Any]) -> None:
    """Send an event; it is carried out or refused, and the refusal says which and why."""
    before = len(rig.events)
    text = json.dumps({**raw, "event_id": "mine"})
    taken, refusal = decoded(text)
    if taken is None:
        assert refusal is not None
        assert refusal.code in ERROR_CODES
        assert refusal.event_id in ("mine", None)
        return
    rig.session.on_event(taken, rig.now_ms)
    rig.pass_time(0)
    rig.take()
    new = rig.events[before:]
    refusals = [one["error"] for one in new if one["type"] == "error"]
    assert len(refusals) <= 1
    for error in refusals:
        assert error["code"] in ERROR_CODES
        assert error["event_id"] == "mine"
        assert error["message"]
    if not refusals and (wanted := ANSWERED.get(raw["type"])):
        assert wanted in {one["type"] for one in new}, (raw, new)


def work(rig: Rig, what: str) -> None:
    """Let a worker, the user or the clock do something."""
    models = [job for job in rig.jobs.values() if isinstance(job.command, Generate)]
    if what == "speech":
        rig.speak("x" * 12)
    elif what == "silence":
        rig.speak("." * 20)
    elif what == "time":
        rig.pass_time(700)
    elif what == "voice":
        for job in [job for job in rig.jobs.values() if not isinstance(job.command, Generate)]:
            rig.answer(job, Done(engine_ms=1))
    elif models and what == "failure":
        rig.answer(models[0], Failed(code="poison_job", message="x", retryable=False))
    elif models:
        said = (
            TextDelta(text="Yes. ") if what == "model" else FunctionCalled(name="f", arguments="{}")
        )
        rig.answer(models[0], said)
        rig.answer(models[0], Done(engine_ms=1))


def end(rig: Rig) -> None:
    """Let all work end; nothing is left of it."""
    for _ in range(20):
        for job in list(rig.jobs.values()):
            if job.job_id in rig.jobs:
                rig.answer(job, Done(engine_ms=1))
        if not rig.jobs and not rig.session.in_turn(rig.now_ms):
            break
        rig.speak("." * 20)
        rig.pass_time(5_000)
    assert rig.jobs == {}
    assert rig.session.open_jobs() == ()
    opened = [one["response"]["id"] for one in rig.events if one["type"] == "response.created"]
    done = [one["response"]["id"] for one in rig.events if one["type"] == "response.done"]
    assert sorted(opened) == sorted(done)


@seed(6)
@settings(
    max_examples=SEQUENCES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=some.lists(STEP, min_size=1, max_size=25), extensions=some.booleans())
def test_every_event_is_carried_out_or_refused_and_nothing_is_left(
    steps: list[dict[str, Any] | str], extensions: bool
) -> None:
    rig = Rig(extensions=extensions, config=CONFIG)
    spoken_turn(rig)
    for step in steps:
        if isinstance(step, str):
            work(rig, step)
        else:
            send(rig, step)
    end(rig)
