"""What the listener tells the session of the user's turns, and asks it."""

from typing import Protocol

from antiphon_gateway.interruption import Verdict
from antiphon_gateway.user_turn import UserTurn


class SpeechJudge(Protocol):
    """Judges the speech that is held."""

    @property
    def held_from(self) -> int:
        """The sample from which the held speech counts; before it was only echo."""

    def judge(self, position: int, silence_ms: int, now_ms: float, *, sounding: bool) -> Verdict:
        """Whether the held speech, heard up to a sample, stops the response.

        `sounding`: there is sound now, be it too short to end the silence.
        """


class TurnOwner(Protocol):
    """What the session does about the user's turns."""

    def audible(self, now_ms: float) -> bool:
        """Whether the user hears a response now."""

    def judge_of(self, start_sample: int, now_ms: float) -> SpeechJudge | None:
        """Who must judge speech before it counts, if anybody must."""

    def on_held_dropped(self, now_ms: float) -> None:
        """The held speech is forgotten."""

    def turn_to_reopen(self, start_sample: int) -> UserTurn | None:
        """The turn that the held speech goes on with, when that was ended too early."""

    def on_turn_reopened(self, turn: UserTurn, now_ms: float) -> None:
        """A committed turn is open again: its item and its answer are taken back."""

    def on_speech_started(self, now_ms: float) -> None:
        """The user began to speak."""

    def on_speech_resumed(self) -> None:
        """The user went on after a pause: what was made of the first part is void."""

    def on_transcript_ahead(self, turn: UserTurn, *, unfinished: bool) -> None:
        """The transcript is there before the turn is known to be over."""

    def on_turn_committed(self, turn: UserTurn) -> None:
        """The turn is over and must become a conversation item."""

    def on_turn_transcribed(self, turn: UserTurn, now_ms: float) -> None:
        """A committed turn has its transcript, or None when it failed."""
