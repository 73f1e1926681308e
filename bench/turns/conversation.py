"""Holds one trial: opens a session, lets it happen, and returns the record of it."""

import asyncio
import time
from collections.abc import Callable

from antiphon.connection import Connection, connect
from antiphon.server_address import ConnectionClosed
from antiphon.task_groups import failure_unwrapped
from bench.turns import memory
from bench.turns.microphone import Microphone
from bench.turns.plans import Trial
from bench.turns.record import Record, field
from bench.turns.sound import milliseconds

STORIES = (
    "Tell me a long story of a lighthouse keeper and his dog.",
    "Tell me all about how bread is made.",
    "Tell me a long story of a girl who builds a boat.",
    "Describe a day in a small town by the sea, from morning to night.",
    "Tell me all about the life of bees.",
    "Tell me a long story of two brothers on a journey through the mountains.",
)
INSTRUCTIONS = "You are a storyteller. You tell long stories in plain words."
REPLY_LIMIT_S = 20.0
"""A reply to interrupt must begin within this time."""
ANSWER_LIMIT_S = 10.0
"""A question is answered within this time after its recording, or not at all."""
SOUND_LIMIT_S = 15.0
"""A sound begins within this time."""
RETRIEVE_LIMIT_S = 3.0
MEMORY_INTERVAL_S = 1.0
_POLL_S = 0.01


async def hold(url: str, trial: Trial) -> Record:
    """Hold one trial in a session of its own. Raises AntiphonError when there is no session."""
    record = Record(trial)
    async with connect(url, playout=record.listener) as talk:
        microphone = Microphone(talk, record.listener, trial.echo)
        with failure_unwrapped():
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(microphone.run(), name="microphone"),
                    group.create_task(_listen(talk, record), name="listen"),
                ]
                if trial.scenario == "long":
                    tasks.append(group.create_task(_watch_memory(record), name="memory"))
                try:
                    await _play_out(talk, microphone, record)
                finally:
                    for task in tasks:
                        task.cancel()
    return record


async def _listen(talk: Connection, record: Record) -> None:
    while True:
        record.note(await talk.receive(), time.monotonic())


async def _watch_memory(record: Record) -> None:
    workers = memory.processes("antiphon-worker", "stt")
    while workers:
        record.memory_mib.append(memory.resident_mib(workers))
        await asyncio.sleep(MEMORY_INTERVAL_S)


async def _play_out(talk: Connection, microphone: Microphone, record: Record) -> None:
    trial = record.trial
    if trial.turn_detection is not None:
        await _update(talk, audio={"input": {"turn_detection": trial.turn_detection}})
    begin_s = time.monotonic()
    if trial.over_reply:
        heard_s = await _begin_story(talk, record)
        if heard_s is None:
            record.failure = "no reply to speak over"
            return
        begin_s = heard_s
    begin_s += trial.after_ms / 1000
    if trial.sound is None:
        await asyncio.sleep(max(0.0, begin_s - time.monotonic()))
        record.began_s = time.monotonic()
    else:
        microphone.pick_up(trial.sound.samples, begin_s)
        await _until(lambda: microphone.began_s is not None, SOUND_LIMIT_S)
        record.began_s = microphone.began_s
    length_s = milliseconds(len(trial.sound.samples)) / 1000 if trial.sound else 0.0
    if trial.asks:
        await _until(lambda: is_answered(record), length_s + ANSWER_LIMIT_S)
    else:
        await asyncio.sleep(length_s + trial.watch_ms / 1000)
        await _until(lambda: record.transcribed, ANSWER_LIMIT_S)
    await _retrieve(talk, record)


def is_answered(record: Record) -> bool:
    """Whether a reply became audible after the end of the speech and its turn has a transcript."""
    end_s = record.speech_end_s
    audible = any(r.audible_s is not None and r.audible_s >= end_s for r in record.responses)
    return audible and record.transcribed


async def _begin_story(talk: Connection, record: Record) -> float | None:
    """Have a long reply begun; return when it became audible."""
    await _update(talk, instructions=INSTRUCTIONS)
    text = STORIES[record.trial.topic % len(STORIES)]
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await talk.send({"type": "conversation.item.create", "item": item})
    await talk.send({"type": "response.create"})
    await _until(lambda: bool(_audible(record)), REPLY_LIMIT_S)
    return min(_audible(record), default=None)


def _audible(record: Record) -> list[float]:
    """Return when the replies begun so far became or will become audible."""
    return [r.audible_s for r in record.responses if r.audible_s is not None]


async def _update(talk: Connection, **session: object) -> None:
    await talk.send({"type": "session.update", "session": {"type": "realtime", **session}})


async def _retrieve(talk: Connection, record: Record) -> None:
    """Ask what the history keeps of the replies that were cut off."""
    wanted = record.interrupted_items
    try:
        for item_id in wanted:
            await talk.send({"type": "conversation.item.retrieve", "item_id": item_id})
    except ConnectionClosed as exc:
        record.failure = str(exc)
        return

    def told() -> bool:
        items = [field(e, "item") for _, e in record.named("conversation.item.retrieved")]
        record.kept = {item["id"]: _text(item) for item in items}
        return wanted <= record.kept.keys()

    await _until(told, RETRIEVE_LIMIT_S)


def _text(item: dict[str, list[dict[str, str]]]) -> str:
    parts = item.get("content", [])
    return "".join(part.get("transcript") or part.get("text") or "" for part in parts)


async def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Poll until a condition holds; return False when it does not in time."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True
