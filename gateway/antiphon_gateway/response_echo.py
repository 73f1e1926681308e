"""What the microphone may hear of a response. Pure."""

from antiphon_gateway import echo
from antiphon_gateway.echo import PlayedAudio
from antiphon_gateway.speech_pipeline import SpeechPipeline

_LATELY_MS, _SOON_MS = 4_000, 300


class ResponseEcho:
    """The audible side of one response that has begun to speak."""

    def __init__(self, speech: SpeechPipeline, played: PlayedAudio) -> None:
        self._speech = speech
        self._played = played

    def possible(self, now_ms: float) -> bool:
        """Whether the response is being heard, or was until just now."""
        return self._speech.playout.since_end_ms(now_ms) < echo.MAX_LAG_MS

    def likeness(self, microphone: bytes, now_ms: float, newest_ms: int) -> float:
        """Return how much the newest microphone audio is its echo (`echo.likeness`)."""
        if not self.possible(now_ms):
            return -1.0
        playout = self._speech.playout
        past_end = max(0.0, playout.since_end_ms(now_ms)) * self._speech.sample_rate_hz / 1000
        heard = playout.heard_samples(now_ms) + int(past_end)
        return echo.likeness(microphone, self._played, heard, now_ms, newest_ms)

    def spoken_lately(self, now_ms: float) -> str:
        """Return the words heard in the last seconds and the next moment."""
        if not self.possible(now_ms):
            return ""
        spoken, rate = self._speech.spoken, self._speech.sample_rate_hz
        heard = self._speech.playout.heard_samples(now_ms)
        before = spoken.heard(heard - _LATELY_MS * rate // 1000)
        return spoken.heard(heard + _SOON_MS * rate // 1000)[len(before) :]
