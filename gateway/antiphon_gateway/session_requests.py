"""Carries out what the client of one session asks for. Pure."""

from typing import Any

from msgspec import structs

from antiphon_gateway import item_audio
from antiphon_gateway.effects import NoteClientUnderruns
from antiphon_gateway.filler import Filler
from antiphon_gateway.history import History
from antiphon_gateway.listening import Listener
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.realtime import client_events as client
from antiphon_gateway.realtime import server_events as events
from antiphon_gateway.realtime.client_items import ClientFunctionCallOutput, spoken_parts
from antiphon_gateway.responses import Responses
from antiphon_gateway.session_context import SessionContext


class SessionRequests:
    """Takes each client event to the part of the session that it is for."""

    def __init__(
        self,
        context: SessionContext,
        settings: LiveSettings,
        history: History,
        listener: Listener,
        responses: Responses,
        filler: Filler,
    ) -> None:
        self._context = context
        self._settings = settings
        self._history = history
        self._listener = listener
        self._responses = responses
        self._filler = filler
        self._underruns = ("", 0)

    def handle(self, event: client.ClientEvent, now_ms: float) -> None:
        """Carry out one event. Raises InvalidEvent; nothing is changed then."""
        match event:
            case client.InputAudioAppend(audio=audio):
                self._append(audio, now_ms)
            case client.Playout() | client.TurnPlayed():
                self._take_playout(event, now_ms)
            case client.SessionUpdate(session=update):
                self._update(update, now_ms)
            case client.InputAudioCommit():
                self._listener.commit(now_ms)
            case client.InputAudioClear():
                self._listener.clear(now_ms)
                self._context.send(events.InputAudioCleared())
                self._responses.respond_when_free(now_ms)
            case client.ItemCreate():
                self._add_item(event, now_ms)
            case client.ItemRetrieve() | client.ItemDelete() | client.ItemTruncate():
                self._history.handle(event)
                if not isinstance(event, client.ItemRetrieve):
                    self._responses.drop_prepared()
            case client.ResponseCreate(response=overrides):
                self._respond(overrides, now_ms)
            case client.ResponseCancel(response_id=response_id):
                self._responses.cancel(response_id, now_ms)
            case client.OutputAudioClear():
                raise client.only_for_webrtc()

    def _append(self, audio: bytes, now_ms: float) -> None:
        form = self._settings.input_format
        pcm = form.to_pcm16(audio)
        self._context.capture.note(len(pcm) / 2 / form.sample_rate_hz, None, now_ms)
        self._listener.append(pcm, form.sample_rate_hz)

    def _add_item(self, event: client.ItemCreate, now_ms: float) -> None:
        item = structs.replace(event.item, id=event.item.id or self._context.new_id("item"))
        waiting = self._listener.transcripts.waiting
        parts = spoken_parts(item, item.id or "")
        spoken = item_audio.turns_of(parts, self._settings.input_format, waiting)
        taken = {*self._listener.open_item_ids, *self._responses.running_item_ids}
        self._history.handle(structs.replace(event, item=item), taken)
        for turn in spoken:
            self._listener.transcripts.ask(turn, turn.pcm, self._listener.spoken_language)
        if isinstance(item, ClientFunctionCallOutput):
            self._filler.on_output(now_ms)
        self._responses.drop_prepared()

    def _respond(self, overrides: dict[str, Any] | None, now_ms: float) -> None:
        if self._settings.only_transcribes:
            raise client.only_for_realtime()
        self._responses.create(overrides, now_ms)

    def _update(self, update: dict[str, Any], now_ms: float) -> None:
        if self._settings.update(update):
            self._responses.drop_prepared()
        self._listener.configure(self._settings.turn_detection, now_ms)
        self._listener.language = self._settings.language
        self._context.transcription_prompt = self._settings.transcription_prompt
        self._context.tells_transcripts = self._settings.tells_transcripts
        self._context.send(events.SessionUpdated(session=self._settings.to_json()))
        self._responses.respond_when_free(now_ms)

    def _take_playout(self, event: client.Playout | client.TurnPlayed, now_ms: float) -> None:
        response = self._history.response_of(event.item_id)
        if response is not None and isinstance(event, client.TurnPlayed):
            response.report_played(event)
        elif response is not None and isinstance(event, client.Playout):
            self._note_underruns(event)
            response.report_playout(event.played_ms, now_ms, event.buffered_ms)
            self._responses.advance(now_ms)

    def _note_underruns(self, event: client.Playout) -> None:
        item_id, before = self._underruns
        more = event.underruns - (before if item_id == event.item_id else 0)
        self._underruns = event.item_id, event.underruns
        if more > 0:
            self._context.emit(NoteClientUnderruns(more))
