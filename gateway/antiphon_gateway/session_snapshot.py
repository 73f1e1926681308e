"""What of a session outlives its gateway: taken from the core, put back into a new one. Pure.

This file alone knows the insides of the core's parts. What is not here is made again: detection and
the words of an utterance from the audio that the client sends again, text and speech from jobs. A
job of speech is asked for with its old id, so a deterministic voice gives the same samples; those
that the client has are left out.
"""

import functools

import msgspec

from antiphon_gateway.effects import Effect, SendEvent
from antiphon_gateway.filler_response import FillerResponse
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.items import FunctionCallItem, Item, MessageItem
from antiphon_gateway.realtime.response_settings import ResponseSettings
from antiphon_gateway.realtime.session_settings import Session as Settings
from antiphon_gateway.response import Response, ResponseState
from antiphon_gateway.session import Session
from antiphon_gateway.speech_pipeline import SpeechState
from antiphon_gateway.user_turn import UserTurn
from antiphon_proto.messages import Done, FunctionCalled

VERSION = 1

_UNIMPORTANT = (events.TranscriptPartial, events.Duck, events.TurnMetrics)
"""A client that has one of these more than the snapshot tells loses nothing: it ends a duck and a
pause itself when its connection is lost."""


class TurnSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A turn that is over and has no answer yet."""

    item_id: str
    start_sample: int
    end_sample: int
    manual: bool
    words_before: str
    transcript: str | None
    pcm: bytes = b""
    """Its audio, while it waits for its transcript."""
    content_index: int = 0
    of_input: bool = False


class ResponseSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The response that speaks, or spoke last."""

    settings: ResponseSettings
    stream: int
    response_id: str
    item_id: str
    previous_item_id: str | None
    audio_started: bool
    ended: bool
    asked: bool
    """Whether the model was asked."""
    text: str
    shown: str
    done: Done | None
    speech: SpeechState | None
    message_at: int | None
    calls: tuple[FunctionCallItem, ...]
    untold: tuple[FunctionCalled, ...] = ()
    """Calls that the client does not know of."""
    calls_to_come: bool = False
    """Whether the model had begun to call functions and not ended."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The core of a session."""

    version: int
    session_id: str
    conversation_id: str
    turn_id: int
    revision: int
    jobs: int
    streams: int
    settings: Settings
    items: tuple[Item, ...]
    needed_from: int
    """The microphone's audio from this sample on is still needed."""
    buffer_start: int
    pending: tuple[TurnSnapshot, ...] = ()
    due: TurnSnapshot | None = None
    response: ResponseSnapshot | None = None
    unread: tuple[str, ...] = ()
    """Items that the model does not read."""


def is_due(effects: list[Effect]) -> bool:
    """Tell whether the client is about to learn something that must not be forgotten."""
    return any(
        isinstance(effect, SendEvent) and not isinstance(effect.event, _UNIMPORTANT)
        for effect in effects
    )


def take(session: Session) -> Snapshot:
    """Return what is to be kept of a session now."""
    context, listener, responses = session.context, session._listener, session._responses
    turn_due = responses._turn_due
    pending = [turn for turn in listener.transcripts.waiting if turn.committed]
    return Snapshot(
        version=VERSION,
        session_id=context.session_id,
        conversation_id=context.conversation_id,
        turn_id=context.turn_id,
        revision=context.revision,
        jobs=context.jobs,
        streams=responses._streams,
        settings=session._settings._settings,
        items=session.history.conversation.items,
        needed_from=_needed_from(session),
        buffer_start=listener._buffer_start,
        pending=tuple(
            _turn(turn, turn.pcm or listener.audio.slice(turn.start_sample, turn.end_sample))
            for turn in pending
        ),
        due=_turn(turn_due, b"") if turn_due is not None else None,
        response=_response(responses.current),
        unread=session.history.conversation.unread,
    )


def restore(session: Session, snapshot: Snapshot) -> None:
    """Put everything into a new session that needs no job."""
    context, responses = session.context, session._responses
    context.conversation_id = snapshot.conversation_id
    context.turn_id, context.revision = snapshot.turn_id, snapshot.revision
    context.jobs = snapshot.jobs
    responses._streams = snapshot.streams
    session._settings._settings = snapshot.settings
    for item in snapshot.items:
        session.history.conversation.add(item)
    for item_id in snapshot.unread:
        session.history.conversation.leave_unread(item_id)
    listener = session._listener
    listener.configure(session._settings.turn_detection)
    listener.language = session._settings.language
    context.transcription_prompt = session._settings.transcription_prompt
    context.tells_transcripts = session._settings.tells_transcripts
    listener._buffer_start = max(snapshot.buffer_start, context.first_sample)


def go_on(session: Session, snapshot: Snapshot, received: tuple[str, int], now_ms: float) -> None:
    """Ask again for what was being made. `received` is an item and how many samples of it came."""
    responses, listener = session._responses, session._listener
    # Before the response, which waits for them if it was not begun.
    for turn in snapshot.pending:
        waiting = _user_turn(turn)
        listener.transcripts.ask(waiting, turn.pcm, listener.spoken_language)
    if snapshot.response is not None:
        kept = snapshot.response
        sent = kept.speech.sent_samples if kept.speech is not None else 0
        if received[0] == kept.item_id:
            sent = max(sent, received[1])
        response = _restored(session, kept, sent, now_ms)
        responses.current = response
        if response.in_conversation:
            session.history._recent[response.item_id] = response
        if not kept.asked:
            responses._start_waiting(now_ms)
        elif not kept.ended and response._model_done is None:
            _ask_for_rest(session, response, kept)
    if snapshot.due is not None:
        responses._turn_due = _user_turn(snapshot.due)
    responses.advance(now_ms)
    responses.respond_when_free(now_ms)


def _ask_for_rest(session: Session, response: Response, kept: ResponseSnapshot) -> None:
    """Have the model go on where it was, if it can."""
    if kept.calls:
        text = "not all functions that the model called are known: the gateway ended"
        response.fail("calls_lost", text)
        return
    response._calls.clear()  # nobody was told, and the model chooses anew
    try:
        response.go_on(session.history.messages(kept.settings))
    except InvalidEvent as error:
        # An item of its input was deleted since the model read it, and is not kept.
        response.fail(error.code, error.message)


def _needed_from(session: Session) -> int:
    """Return the first sample of the microphone that something is still to be made of."""
    listener, barge_in = session._listener, session._interruptions._barge_in
    needed = listener.audio.position_samples
    if listener._turn is not None:
        needed = min(needed, listener._turn.start_sample)
    if barge_in is not None:
        needed = min(needed, barge_in.start_sample)
    if listener._endpointer is None:
        needed = min(needed, listener._buffer_start)
    return max(needed, listener.audio.start_samples)


def _turn(turn: UserTurn, pcm: bytes) -> TurnSnapshot:
    return TurnSnapshot(
        turn.item_id,
        turn.start_sample,
        turn.end_sample,
        turn.manual,
        turn.words_before,
        turn.transcript,
        pcm,
        turn.content_index,
        turn.of_input,
    )


def _user_turn(kept: TurnSnapshot) -> UserTurn:
    return UserTurn(
        kept.item_id,
        kept.start_sample,
        end_sample=kept.end_sample,
        transcript=kept.transcript,
        committed=True,
        manual=kept.manual,
        content_index=kept.content_index,
        pcm=kept.pcm,
        of_input=kept.of_input,
    )


def _response(response: Response | None) -> ResponseSnapshot | None:
    if response is None:
        return None
    made = response._events
    return ResponseSnapshot(
        settings=response.settings,
        stream=made._stream,
        response_id=made.response_id,
        item_id=made.item_id,
        previous_item_id=made._previous_item_id,
        audio_started=made._audio_started,
        ended=response.ended,
        asked=not response.waits,
        text=response._text,
        shown=response._shown,
        done=response._model_done,
        speech=response._speech.state() if response._speech is not None else None,
        message_at=made._message_at,
        calls=made.calls,
        untold=tuple(response._calls),
        calls_to_come=response._calls_to_come,
    )


def _restored(session: Session, kept: ResponseSnapshot, sent: int, now_ms: float) -> Response:
    unread = kept.item_id in session.history.conversation.unread
    kind = FillerResponse if unread else Response
    response = kind(session.context, kept.settings, stream=kept.stream, timings=None)
    made = response._events
    made.response_id, made.item_id = kept.response_id, kept.item_id
    made._message_at, made._calls = kept.message_at, list(kept.calls)
    made._add = functools.partial(session.history.add_output, response)
    made._previous_item_id, made._audio_started = kept.previous_item_id, kept.audio_started
    response._text, response._shown, response._model_done = kept.text, kept.shown, kept.done
    response._calls, response._calls_to_come = list(kept.untold), kept.calls_to_come
    if (kept.calls or kept.untold) and kept.done is None and not kept.calls_to_come:
        # Asked again, the model would call again what the client was told to call.
        response._model_done = Done(engine_ms=0.0)
    response._state = ResponseState.ENDED if kept.ended else ResponseState.IN_PROGRESS
    if kept.ended:
        item = session.history.conversation.items
        response._item = next(
            (one for one in item if one.id == kept.item_id and isinstance(one, MessageItem)), None
        )
    if response._speech is not None and kept.speech is not None:
        response._speech.restore(kept.speech, len(kept.shown), sent, now_ms, ended=kept.ended)
        if not kept.ended:
            response._speech.feed(kept.text[kept.speech.asked_characters :])
            if response._model_done is not None:
                response._speech.finish_text()
    return response
