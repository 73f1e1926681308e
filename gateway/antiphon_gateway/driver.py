"""Carries out what a session's core decides: jobs, voice activity detection, timers, sends."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.effects import (
    CancelJobs,
    DetectSpeech,
    Effect,
    NoteRetraction,
    NoteTurn,
    NoteTurnEnd,
    NoteUnderrun,
    Retrieve,
    SendAudio,
    SendEvent,
    Submit,
)
from antiphon_gateway.observers import SessionObserver
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.retrieval.passage import Passage
from antiphon_gateway.retrieval.service import RetrievalService
from antiphon_gateway.session import Session
from antiphon_gateway.vad import Vad
from antiphon_proto.frames import MAX_PCM_BYTES, AudioFrame, FrameKind
from antiphon_proto.messages import Result

CLOSE_POLICY = 1008
CLOSE_INTERNAL_ERROR = 1011

_log = logging.getLogger(__name__)


class SessionDriver:
    """Runs one session's core on the event loop."""

    def __init__(
        self,
        session: Session,
        dispatcher: Dispatcher,
        vad: Vad,
        outbox: Outbox,
        retrieval: RetrievalService,
        observer: SessionObserver | None = None,
        after_step: Callable[[list[Effect]], None] = lambda _: None,
    ) -> None:
        """`observer` is shown every effect and result, `after_step` all effects of a step."""
        self._session = session
        self._after_step = after_step
        self._observer = observer or SessionObserver()
        self._dispatcher = dispatcher
        self._outbox = outbox
        outbox.tell_of_room = self._on_room
        self._retrieval = retrieval
        self._loop = asyncio.get_running_loop()
        self._vad = vad.open(self._on_speech_probabilities)
        self._timer: asyncio.TimerHandle | None = None
        self._unwanted: list[str] = []
        """Jobs to be cancelled once the client has been told."""
        self.audio_frames = 0
        """Binary frames of audio sent so far."""
        self._closed = False

    def now_ms(self) -> float:
        """Return the time of the event loop in milliseconds."""
        return self._loop.time() * 1000

    @property
    def in_turn(self) -> bool:
        """Whether the session's user speaks, waits for an answer or hears one."""
        return not self._closed and self._session.in_turn(self.now_ms())

    def run(self, step: Callable[[float], None]) -> None:
        """Run one step of the core at the current time and carry out its effects.

        A bug in the core ends this session, never its neighbours.
        """
        if self._closed:
            return
        try:
            step(self.now_ms())
            effects = self._session.take_effects()
            if len(effects) == 1 and isinstance(effects[0], DetectSpeech):
                # Fifty times a second in every session, and no other part of it has moved.
                self._vad.feed(effects[0].pcm)
                return
            for effect in effects:
                self._carry_out(effect)
            self._session.context.behind = self._outbox.behind
            self._arm_timer()
            if effects and not self._closed:
                self._after_step(effects)
            if self._unwanted:
                # Behind the sender, which was woken before: a worker that a cancellation wakes
                # competes with us for the processor.
                self._loop.call_soon(self._cancel_unwanted)
        except Exception:  # noqa: BLE001 - logged with its traceback; the session ends here
            _log.exception("session failed", extra={"session_id": self._session.context.session_id})
            self._outbox.close(CLOSE_INTERNAL_ERROR, "internal error")
            self.close()

    async def caught_up(self) -> None:
        """Wait until the detector is hardly behind: slows a client that floods us."""
        await self._vad.caught_up()

    @property
    def is_caught_up(self) -> bool:
        """Whether `caught_up` would return at once."""
        return self._vad.is_caught_up

    @property
    def is_examined(self) -> bool:
        """Whether the detector has seen all audio of the microphone."""
        return self._vad.is_drained

    def close(self) -> None:
        """End the session: its jobs, its detection, its timer."""
        if self._closed:
            return
        self._closed = True
        self._vad.close()
        if self._timer is not None:
            self._timer.cancel()
        self._unwanted += self._session.open_jobs()
        self._cancel_unwanted()

    def _carry_out(self, effect: Effect) -> None:
        if self._closed and not isinstance(effect, CancelJobs):
            return
        self._observer.effect(effect, self.now_ms())
        if isinstance(effect, DetectSpeech):
            self._vad.feed(effect.pcm)
        elif isinstance(effect, SendEvent):
            self._put(events.encode(effect.event))
        elif isinstance(effect, SendAudio):
            for piece in _pieces(effect):
                self._put(self._audio_message(piece))
        elif isinstance(effect, Submit):
            self._cancel_unwanted()
            self._dispatcher.submit(effect.request, self._on_result)
        elif isinstance(effect, CancelJobs):
            self._unwanted += effect.job_ids
        elif isinstance(effect, Retrieve):
            self._retrieval.ask(effect.query, partial(self._on_passages, effect.lookup))
        else:
            self._log_note(effect)

    def _cancel_unwanted(self) -> None:
        unwanted, self._unwanted = self._unwanted, []
        if unwanted:
            self._dispatcher.cancel(unwanted)

    def _log_note(self, effect: Effect) -> None:
        session_id = self._session.context.session_id
        if isinstance(effect, NoteRetraction):
            _log.info("turn retracted", extra={"session_id": session_id, **effect._asdict()})
        elif isinstance(effect, NoteTurnEnd):
            _log.info("turn over", extra={"session_id": session_id, **effect._asdict()})
        elif isinstance(effect, NoteUnderrun):
            note = {"turn_id": effect.turn_id, "gap_ms": round(effect.gap_ms)}
            _log.warning("speech came too late", extra={"session_id": session_id, **note})
        elif isinstance(effect, NoteTurn):
            steps = {f"{step}_ms": at_ms for step, at_ms in effect.steps_ms.items()}
            turn = {"turn_id": effect.turn_id, "response_id": effect.response_id}
            _log.info("turn answered", extra={"session_id": session_id, **turn, **steps})

    def _audio_message(self, audio: SendAudio) -> str | bytes:
        if self._session.context.extensions:
            self.audio_frames += 1
            return AudioFrame(
                FrameKind.PLAYBACK,
                self.audio_frames,
                audio.first_sample,
                audio.sample_rate_hz,
                audio.stream,
                audio.pcm,
            ).encode()
        return events.encode(
            events.OutputAudioDelta(
                response_id=audio.response_id,
                item_id=audio.item_id,
                output_index=0,
                content_index=0,
                delta=audio.format.from_pcm16(audio.pcm),
            )
        )

    def _put(self, message: str | bytes) -> None:
        if not self._outbox.put(message):
            self._outbox.close(CLOSE_POLICY, "client reads too slowly")
            self.close()

    def _on_result(self, result: Result, payload: bytes) -> None:
        self._observer.result(result, payload, self.now_ms())
        self.run(lambda now_ms: self._session.on_result(result, payload, now_ms))

    def _on_passages(self, lookup: int, passages: Sequence[Passage]) -> None:
        self.run(lambda now_ms: self._session.on_passages(lookup, passages, now_ms))

    def _on_speech_probabilities(self, probabilities: Sequence[float]) -> None:
        self.run(lambda now_ms: self._session.on_speech_probabilities(probabilities, now_ms))

    def _on_room(self) -> None:
        self._session.context.behind = False
        self.run(self._session.advance)

    def _arm_timer(self) -> None:
        due_ms = None if self._closed else self._session.next_due_ms(self.now_ms())
        if self._timer is not None:
            # One that rings too early does no harm, and is armed again then.
            if due_ms is not None and self._timer.when() <= due_ms / 1000:
                return
            self._timer.cancel()
            self._timer = None
        if due_ms is not None:
            self._timer = self._loop.call_at(due_ms / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.run(self._session.advance)


def _pieces(audio: SendAudio) -> Iterator[SendAudio]:
    """Cut audio so that each piece fits into a binary frame."""
    for at in range(0, len(audio.pcm), MAX_PCM_BYTES):
        pcm = audio.pcm[at : at + MAX_PCM_BYTES]
        yield audio._replace(pcm=pcm, first_sample=audio.first_sample + at // 2)
