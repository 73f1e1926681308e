"""What the models say of each pause of a turn, asked once and kept in a file.

The engines are asked as the gateway asks them, so their answers are those of the product.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from antiphon_gateway.turn_end import Sounding
from antiphon_proto.config import Config
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    STT_SAMPLE_RATE_HZ,
    Command,
    Job,
    PredictTurnEnd,
    ReadPrompt,
    Stage,
    Transcribe,
    Transcript,
    TurnEnd,
)
from antiphon_workers import registry
from antiphon_workers.engine import Engine, Usage
from bench.turn_recordings import Pause, Pcm, Turn

SOUNDED_AT_MS = (64, 192, 384, 640)
TRANSCRIBED_AT_MS = 64
_PREFIX_SAMPLES = STT_SAMPLE_RATE_HZ * 3 // 10
"""What the gateway sends before the first speech."""
_HEARD_SAMPLES = STT_SAMPLE_RATE_HZ * 8
_KEPT_AFTER = 50

Answer = tuple[str, float] | tuple[float, float | None] | float | None
"""A transcript and its confidence, the ends of a message and of a phrase, or a probability."""


class Known(NamedTuple):
    """All that is ever known of one pause."""

    soundings: tuple[Sounding, ...]
    transcript: str
    confidence: float
    message_end: float | None
    phrase_end: float | None = None


class EvidenceSource:
    """Asks the configured engines, or the file that keeps their answers."""

    def __init__(self, config: Config, kept_in: Path) -> None:
        self._config = config
        self._file = kept_in
        self._answers: dict[str, Answer] = {}
        if kept_in.exists():
            kept = json.loads(kept_in.read_text(encoding="utf-8"))
            self._answers = {
                key: tuple(one) if isinstance(one, list) else one for key, one in kept.items()
            }
        self._engines: dict[Stage, Engine] = {}
        self.asked = 0
        """Answers that were not in the file."""

    def of(self, turn: Turn, pause: Pause) -> Known:
        """Return what is known of a pause once all have answered."""
        start = max(0, turn.speech_start - _PREFIX_SAMPLES)
        transcript, confidence = self._transcript(_until(turn, start, pause, TRANSCRIBED_AT_MS))
        asked = [at_ms for at_ms in SOUNDED_AT_MS if at_ms <= pause.length_ms]
        heard = [(at_ms, self._sounding(_until(turn, start, pause, at_ms))) for at_ms in asked]
        soundings = tuple(Sounding(at_ms, one) for at_ms, one in heard if one is not None)
        end, phrase_end = self._message_end(transcript) if transcript else (None, None)
        return Known(soundings, transcript, confidence, end, phrase_end)

    def close(self) -> None:
        """Write the file and free the engines."""
        self._keep()
        for engine in self._engines.values():
            engine.close()

    def _transcript(self, pcm: Pcm) -> tuple[str, float]:
        question = f"words {self._config.stt.model}"
        job = Transcribe(final=True), pcm.tobytes()
        answer = self._answer(question, pcm.tobytes(), lambda: self._ask("stt", *job))
        if isinstance(answer, tuple) and isinstance(answer[0], str) and answer[1] is not None:
            return answer[0], answer[1]
        return "", 0.0

    def _sounding(self, pcm: Pcm) -> float | None:
        heard = pcm[-_HEARD_SAMPLES:].tobytes()
        return _probability(
            self._answer("sound", heard, lambda: self._ask("stt", PredictTurnEnd(), heard))
        )

    def _message_end(self, text: str) -> tuple[float | None, float | None]:
        settings = self._config.llm
        messages = (ChatMessage("system", settings.instructions), ChatMessage("user", text))
        job = ReadPrompt(messages=messages), b""
        question = f"ends {settings.model} {settings.requantize} {settings.key_type}"
        answer = self._answer(question, text.encode(), lambda: self._ask("llm", *job))
        if isinstance(answer, tuple) and not isinstance(answer[0], str):
            return answer[0], answer[1]
        return _probability(answer), None

    def _answer(self, question: str, about: bytes, ask: Callable[[], Answer]) -> Answer:
        key = f"{question} {hashlib.sha256(about).hexdigest()[:24]}"
        if key not in self._answers:
            answer = ask()
            if answer is None:
                return None
            self._answers[key] = answer
            self.asked += 1
            if self.asked % _KEPT_AFTER == 0:
                self._keep()
        return self._answers[key]

    def _ask(self, stage: Stage, command: Command, payload: bytes) -> Answer:
        if stage not in self._engines:
            engine = registry.create(stage, self._config)
            engine.load()
            self._engines[stage] = engine
        job = Job(
            job_id="bench",
            session_id="bench",
            turn_id=1,
            revision=0,
            attempt=1,
            reply_to="bench",
            budget_ms=60_000,
            command=command,
        )
        return asyncio.run(_run(self._engines[stage], job, payload))

    def _keep(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._answers), encoding="utf-8")
        written.replace(self._file)


async def _run(engine: Engine, job: Job, payload: bytes) -> Answer:
    answer: Answer = None
    async for step in engine.run(job, payload):
        if step is None or isinstance(step, Usage):
            continue
        body = step[0]
        if isinstance(body, Transcript):
            answer = body.text.strip(), body.average_log_probability
        elif isinstance(body, TurnEnd) and body.phrase_end is not None:
            answer = body.probability, body.phrase_end
        elif isinstance(body, TurnEnd):
            answer = body.probability
    return answer


def _probability(answer: Answer) -> float | None:
    return float(answer) if isinstance(answer, (int, float)) else None


def _until(turn: Turn, start: int, pause: Pause, silence_ms: int) -> Pcm:
    return turn.pcm[start : pause.start + silence_ms * STT_SAMPLE_RATE_HZ // 1000]
