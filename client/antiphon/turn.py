"""Pure: what one spoken turn brought, gathered from the messages of a session."""

from antiphon import events
from antiphon.connection import Audio, Message
from antiphon.sound import first_audible_sample

_GIVEN_UP = "turn_detected"
"""Reason of a response that was cancelled because the user went on speaking."""


class Reply:
    """One response of a turn."""

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.text = ""
        self.pcm = bytearray()
        self.sample_rate_hz = 0
        self.result: events.Response | None = None
        self.ended_s = 0.0
        self.steps_ms: dict[str, float] = {}
        self.sources = ""
        """Where the passages stand that the model read, when it read any."""
        self.wait: events.TurnMetrics | None = None
        """Where the time went from mouth to ear, once the server knows."""
        self._arrivals: list[tuple[int, float]] = []

    def add_audio(self, audio: Audio) -> None:
        """Append a piece of the response's speech."""
        self._arrivals.append((len(self.pcm) // 2, audio.received_s))
        self.sample_rate_hz = audio.sample_rate_hz
        self.pcm += audio.pcm

    @property
    def audio_ms(self) -> float:
        """Length of the speech."""
        return len(self.pcm) / 2 * 1000 / self.sample_rate_hz if self.pcm else 0.0

    @property
    def first_sample_s(self) -> float | None:
        """When the first sample arrived, audible or not."""
        return self._arrivals[0][1] if self._arrivals else None

    @property
    def audible_s(self) -> float | None:
        """When a listener who plays samples as they arrive hears the first sound."""
        index = first_audible_sample(bytes(self.pcm))
        if index is None:
            return None
        began_s = self._arrivals[0][1]
        arrived_s = next(at for first, at in reversed(self._arrivals) if first <= index)
        return max(arrived_s, began_s + index / self.sample_rate_hz)

    @property
    def given_up(self) -> bool:
        """Whether it was cancelled because the user went on speaking."""
        details = self.result.status_details if self.result else None
        return details is not None and details.reason == _GIVEN_UP


class Turn:
    """Takes note of messages and tells how far the turn has come."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._transcripts: dict[str, str] = {}
        self._speaking = False
        self._heard_speech = False
        self._ended_speech = False
        self._unanswered = False
        self.failure = ""
        self.progress_s = 0.0
        """When more of a reply arrived last."""

    def note(self, message: Message, now_s: float) -> None:
        """Take note of a message that arrived at `now_s`, in seconds of the monotonic clock."""
        if isinstance(message, Audio | events.TextDelta | events.ResponseCreated):
            self.progress_s = now_s
        match message:
            case Audio():
                self._reply(message.response_id).add_audio(message)
            case events.TextDelta():
                self._reply(message.response_id).text += message.delta
            case events.ResponseCreated():
                self._reply(message.response.id)
                self._unanswered = False
            case events.ResponseDone():
                reply = self._reply(message.response.id)
                reply.result, reply.ended_s = message.response, now_s
            case events.Citations():
                self._reply(message.response_id).sources = message.sources
            case events.TurnMetrics():
                if message.response_id or self.replies:
                    id_ = message.response_id or self.replies[-1].response_id
                    reply = self._reply(id_)
                    reply.steps_ms = message.steps_ms
                    if message.complete:
                        reply.wait = message
            case events.ErrorEvent():
                self.failure = message.error.message or "the server reported an error"
            case _:
                self._note_input(message)

    def _note_input(self, message: Message) -> None:
        match message:
            case events.SpeechStarted():
                self._speaking = self._heard_speech = True
            case events.SpeechStopped():
                self._speaking, self._ended_speech = False, True
            case events.Committed():
                self._speaking, self._ended_speech, self._unanswered = False, True, True
                self._transcripts.setdefault(message.item_id, "")
            case events.TranscriptCompleted():
                self._transcripts[message.item_id] = message.transcript
                if not message.transcript.strip():
                    self._unanswered = False
            case events.TranscriptFailed():
                self.failure = f"the speech was not transcribed: {message.error.message}"
            case events.ItemDeleted():
                self._transcripts.pop(message.item_id, None)

    @property
    def transcript(self) -> str:
        """What the server understood."""
        return " ".join(text.strip() for text in self._transcripts.values() if text.strip())

    @property
    def reply(self) -> Reply | None:
        """The last response that was not given up."""
        return next((reply for reply in reversed(self.replies) if not reply.given_up), None)

    @property
    def answered(self) -> bool:
        """Whether a response has ended and the user's last words are not waiting for another."""
        reply = self.reply
        done = reply is not None and reply.result is not None
        return done and not self._speaking and not self._unanswered

    @property
    def missing(self) -> str:
        """What the turn waits for, as the end of a sentence."""
        reply = self.reply
        if reply is not None:
            if not reply.text:
                return "the response has no text yet"
            if not reply.pcm:
                return "there is text but no audio"
            if reply.result is None:
                return "the reply has not ended"
            if self._speaking:
                return "the server still hears speech"
            if self._unanswered:
                return "what was said last has no reply"
            return "the reply is still being played"
        if self.transcript:
            return "the speech was transcribed but no response was begun"
        if self._ended_speech:
            return "the end of the speech was seen but there is no transcript"
        if self._heard_speech:
            return "the speech was heard but its end was not seen"
        return "the server heard no speech"

    def _reply(self, response_id: str) -> Reply:
        for reply in self.replies:
            if reply.response_id == response_id:
                return reply
        self.replies.append(Reply(response_id))
        return self.replies[-1]
