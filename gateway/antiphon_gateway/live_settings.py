"""The session object as it is now, and what follows from it. Pure."""

from typing import Any

from antiphon_gateway.realtime import session_settings
from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.response_settings import ResponseSettings, merge_response
from antiphon_gateway.realtime.session_settings import SessionType, TurnDetection
from antiphon_gateway.session_context import SessionContext


class LiveSettings:
    """The settings of one session."""

    def __init__(self, context: SessionContext, catalogue: Catalogue, kind: SessionType) -> None:
        self._session_id = context.session_id
        self._catalogue = catalogue
        self._settings = session_settings.default_session(context.config, catalogue, kind)

    def update(self, update: dict[str, Any]) -> bool:
        """Take an update; tell whether anything changed. Raises InvalidEvent."""
        before = self._settings
        self._settings = session_settings.merge(before, update, self._catalogue)
        return self._settings != before

    def to_json(self) -> dict[str, Any]:
        """Return the whole session object."""
        return self._settings.to_json(self._session_id)

    def response(self, overrides: dict[str, Any] | None = None) -> ResponseSettings:
        """Return the settings of a response. Raises InvalidEvent."""
        return merge_response(self._settings, overrides, self._catalogue)

    @property
    def turn_detection(self) -> TurnDetection | None:
        """Who ends the turns, and how; None is the client."""
        return self._settings.audio.input.turn_detection

    @property
    def only_transcribes(self) -> bool:
        """Whether nothing is ever answered."""
        return self._settings.type == "transcription"

    @property
    def creates_response(self) -> bool:
        """Whether a turn is answered without being asked to."""
        detection = None if self.only_transcribes else self.turn_detection
        return detection is not None and detection.create_response

    @property
    def interrupts_response(self) -> bool:
        """Whether speech stops a response."""
        return self.turn_detection is not None and self.turn_detection.interrupt_response

    @property
    def input_format(self) -> AudioFormat:
        """The format of `input_audio_buffer.append`."""
        return self._settings.audio.input.format

    @property
    def language(self) -> str:
        """The language that the client says is spoken; empty: the server's."""
        transcription = self._settings.audio.input.transcription
        return (transcription and transcription.language) or ""

    @property
    def tells_transcripts(self) -> bool:
        """Whether the client asks for the words of the user."""
        return self._settings.audio.input.transcription is not None

    @property
    def transcription_prompt(self) -> str:
        """Words that the transcriber is to expect."""
        transcription = self._settings.audio.input.transcription
        return (transcription and transcription.prompt) or ""
