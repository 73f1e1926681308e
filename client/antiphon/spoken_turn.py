"""Holds spoken turns in real time: says a recording, waits for the whole reply."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from antiphon.connection import Connection, connect
from antiphon.playout_clock import PlayoutClock
from antiphon.recording import Recording, resampled
from antiphon.simulated_microphone import SimulatedMicrophone
from antiphon.task_groups import failure_unwrapped
from antiphon.turn import Reply, Turn
from antiphon_proto.errors import AntiphonError

METRICS_WAIT_S = 1.0
"""How long after the reply the server's timings may still come."""
_POLL_S = 0.05


class NoReply(AntiphonError):
    """Raised when a turn ends without a spoken reply; the text says what was missing."""

    code = "no_reply"


class SpokenTurn(NamedTuple):
    """A turn that brought a spoken reply. Times are in milliseconds after the end of speech."""

    recording: Recording
    transcript: str
    reply: Reply
    first_sample_ms: float | None
    mouth_to_ear_ms: float | None
    """To the first audible sample; None when the recording or the reply is silent."""
    cut_ins: int
    """Other responses of the turn: begun before the user had ended."""


class Conversation:
    """A session with a microphone that is always on."""

    def __init__(self, talk: Connection, microphone: SimulatedMicrophone) -> None:
        self._talk = talk
        self._microphone = microphone

    async def say(
        self, recording: Recording, *, timeout_s: float, silence_s: float = 0.0
    ) -> SpokenTurn:
        """Say the recording, then be silent until the reply has been received and played.

        `timeout_s` counts from the end of the recording and again from all that arrives of a
        reply, which may be long; `silence_s` is the least silence after the recording.
        Raises NoReply, and ConnectionClosed when the session ends early.
        """
        turn = Turn()
        self._microphone.say(resampled(recording, self._microphone.sample_rate_hz).pcm)
        said_s: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    turn.note(await self._talk.receive(), time.monotonic())
            now_s = time.monotonic()
            if turn.failure:
                raise NoReply(f"{recording.name}: {turn.failure}")
            if self._microphone.speaking:
                continue
            said_s = now_s if said_s is None else said_s
            if now_s >= said_s + silence_s and self._complete(turn, now_s):
                return _result(recording, turn, self._microphone.began_s)
            if now_s >= max(said_s, turn.progress_s) + timeout_s:
                raise NoReply(f"{recording.name}: no reply within {timeout_s:g} s: {turn.missing}")

    def _complete(self, turn: Turn, now_s: float) -> bool:
        """Whether the reply has been received and played, and its timings are here or overdue."""
        reply = turn.reply
        if reply is None or not turn.answered:
            return False
        overdue = now_s > reply.ended_s + METRICS_WAIT_S
        return now_s >= self._talk.playout.end_s and (reply.wait is not None or overdue)


@contextlib.asynccontextmanager
async def conversation(
    url: str,
    *,
    api_key: str = "",
    sample_rate_hz: int = 16_000,
    playout: PlayoutClock | None = None,
) -> AsyncIterator[Conversation]:
    """Open a session with a microphone; see `connect` for `playout` and what is raised."""
    async with connect(url, api_key=api_key, playout=playout) as talk:
        microphone = SimulatedMicrophone(talk, sample_rate_hz)
        with failure_unwrapped():
            async with asyncio.TaskGroup() as group:
                running = group.create_task(microphone.run(), name="microphone")
                try:
                    yield Conversation(talk, microphone)
                finally:
                    running.cancel()


def _result(recording: Recording, turn: Turn, began_s: float) -> SpokenTurn:
    reply = turn.reply
    assert reply is not None
    assert reply.result is not None
    if not reply.pcm or reply.result.status == "failed":
        raise NoReply(f"{recording.name}: {_why_silent(reply)}")
    first = audible = None
    if recording.speech_end_ms is not None:
        ended_s = began_s + recording.speech_end_ms / 1000
        first = None if reply.first_sample_s is None else (reply.first_sample_s - ended_s) * 1000
        audible = None if reply.audible_s is None else (reply.audible_s - ended_s) * 1000
    cut_ins = sum(other is not reply for other in turn.replies)
    return SpokenTurn(recording, turn.transcript, reply, first, audible, cut_ins)


def _why_silent(reply: Reply) -> str:
    result = reply.result
    details = result.status_details if result else None
    if details and details.error:
        return f"the reply failed: {details.error.message}"
    status = result.status if result else "unknown"
    reason = f" ({details.reason})" if details and details.reason else ""
    return f"the reply has no audio: it ended as {status}{reason}"
