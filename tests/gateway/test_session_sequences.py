"""Sequences of valid and invalid client events: each is carried out or refused by the rules.

More of them: CONTRIBUTING.md says how.
"""

import json
import os
from typing import Any

from event_sequences import ANSWERED, EVENT
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
