"""Speech to text on a graphics card: words against the processor's, jobs side by side, batches.

Every table is warm: each engine has transcribed all the clips once before. A batch is one call of
the encoder and one of the decoder; its clips are encoded as long as the longest.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from antiphon_proto import config, models
from antiphon_proto.audio import pcm16_to_float
from antiphon_proto.errors import AntiphonError
from antiphon_workers.engine import Engine
from antiphon_workers.process import wait_asleep
from antiphon_workers.registry import create
from bench.clips import DEFAULT_CLIPS, Clip, read_clips
from bench.statistics import normalised, percentile, word_error_rate
from bench.stt import transcribed, utterance

_GPU = ["stt.device=cuda", "stt.compute_type=float16"]
_ENGINES = {
    "cpu, int8, spliced": [],
    "cpu, float32, spliced": ["stt.compute_type=float32"],
    "cuda, float16, spliced": _GPU,
    "cuda, float16, padded": [*_GPU, "stt.encoder_window=padded"],
}
_SLOTS = (1, 2, 4, 8, 16)
_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; the exit code is 0, or 2 without a device, an engine or the clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    config.add_arguments(parser)
    parser.add_argument("--clips", type=Path, default=DEFAULT_CLIPS, help="recordings and manifest")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 32, 64], metavar="N")
    options = parser.parse_args(arguments)
    # Before the model libraries are imported, which read the environment then.
    wait_asleep()
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        print("error: CTranslate2 sees no CUDA device here; nothing was measured", file=sys.stderr)
        return 2
    try:
        clips = read_clips(options.clips)
        asyncio.run(_engines(clips, options.settings))
        asyncio.run(_side_by_side(clips, options.settings))
        _batches(clips, options.batches, options.settings)
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


async def _engines(clips: list[Clip], settings: list[str]) -> None:
    print(
        f"{len(clips)} clips\n{'engine':<24} {'p50':>9} {'p95':>9} {'errors':>8}   other words than"
    )
    utterances = [utterance(clip) for clip in clips]
    texts: dict[str, list[str]] = {}
    for name, chosen in _ENGINES.items():
        engine = _engine([*settings, *chosen])
        times_ms: list[float] = []
        for _ in range(2):
            times_ms, texts[name] = [], []
            for pcm in utterances:
                begun_s = time.perf_counter()
                texts[name].append(await transcribed(engine, pcm))
                times_ms.append((time.perf_counter() - begun_s) * 1000)
        engine.close()
        rate = word_error_rate(
            (clip.transcript, text) for clip, text in zip(clips, texts[name], strict=True)
        )
        others = ", ".join(
            f"{other}: {_different(texts[name], texts[other])}" for other in list(texts)[:-1]
        )
        print(f"{name:<24} {_spread(times_ms)} {100 * (rate or 0.0):>6.1f} %   {others}")


async def _side_by_side(clips: list[Clip], settings: list[str]) -> None:
    print(f"\n{'stt.slots':<10} {'p50':>9} {'p95':>9} {'clips a second':>16}")
    utterances = [utterance(clip) for clip in clips]
    for slots in _SLOTS:
        engine = _engine([*settings, *_GPU, f"stt.slots={slots}"])
        free = asyncio.Semaphore(slots)
        times_ms: list[float] = []

        async def job(pcm: bytes, engine: Engine = engine, free: asyncio.Semaphore = free) -> float:
            async with free:
                begun_s = time.perf_counter()
                await transcribed(engine, pcm)
                return (time.perf_counter() - begun_s) * 1000

        await asyncio.gather(*map(job, utterances))
        begun_s = time.perf_counter()
        times_ms = await asyncio.gather(*map(job, utterances * _ROUNDS))
        passed_s = time.perf_counter() - begun_s
        engine.close()
        print(f"{slots:<10} {_spread(times_ms)} {len(times_ms) / passed_s:>16.0f}")


def _batches(clips: list[Clip], sizes: list[int], settings: list[str]) -> None:
    print(
        f"\n{'batch':<10} {'p50':>9} {'p95':>9} {'clips a second':>16} {'encoder':>9} {'errors':>8}"
    )
    batch = _Batch(config.load(environment={}, settings=[*settings, *_GPU]))
    mels = [batch.mel(utterance(clip)) for clip in clips]
    batch.transcripts(mels[: max(sizes)])
    for size in sizes:
        groups = [
            [(at + step) % len(mels) for step in range(size)] for at in range(0, len(mels), size)
        ]
        times_ms, encoder_ms, pairs = [], [], []
        for group in groups * _ROUNDS:
            begun_s = time.perf_counter()
            found = batch.transcripts([mels[at] for at in group])
            times_ms.append((time.perf_counter() - begun_s) * 1000)
            encoder_ms.append(batch.encoder_ms)
            pairs += [(clips[at].transcript, text) for at, text in zip(group, found, strict=True)]
        rate = 1000 * size * len(times_ms) / sum(times_ms)
        errors = 100 * (word_error_rate(pairs) or 0.0)
        encoder = f"{percentile(encoder_ms, 50):>5.1f} ms"
        print(f"{size:<10} {_spread(times_ms)} {rate:>16.0f} {encoder:>9} {errors:>6.1f} %")


class _Batch:
    """The engine's model, asked for several clips at once."""

    def __init__(self, settings: config.Config) -> None:
        import faster_whisper
        from faster_whisper.tokenizer import Tokenizer

        from antiphon_workers.stt.spliced_encoder import SplicedEncoder

        path = models.find(settings.stt.model, settings.models.directory)
        self._model = faster_whisper.WhisperModel(
            str(path), device=settings.stt.device, compute_type=settings.stt.compute_type
        )
        bins = self._model.feature_extractor.mel_filters.shape[0]
        self._encoder = SplicedEncoder(self._model.model, bins, settings.stt.silence_ms)
        multilingual = self._model.model.is_multilingual
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, multilingual, task="transcribe", language="en"
        )
        self._start = self._model.get_prompt(self._tokenizer, [], True)
        self.encoder_ms = 0.0
        """Of the last batch."""

    def mel(self, pcm: bytes) -> "np.ndarray[Any, Any]":
        """Return the spectrogram of an utterance."""
        spectrogram: np.ndarray[Any, Any] = self._model.feature_extractor(pcm16_to_float(pcm))
        return spectrogram

    def transcripts(self, mels: list["np.ndarray[Any, Any]"]) -> list[str]:
        """Return the greedy transcripts, all from one call of the encoder and the decoder."""
        from antiphon_workers.stt import guards

        begun_s = time.perf_counter()
        states = self._encoder.encode(*mels)
        self.encoder_ms = (time.perf_counter() - begun_s) * 1000
        seconds = max(mel.shape[1] for mel in mels) / 100
        results = self._model.model.generate(
            states,
            [self._start] * len(mels),
            beam_size=1,
            max_length=len(self._start) + guards.most_tokens(seconds),
        )
        return [self._tokenizer.decode(result.sequences_ids[0]).strip() for result in results]


def _engine(settings: list[str]) -> Engine:
    chosen = config.load(environment={}, settings=[*settings, "stt.turn_end_model="])
    engine = create("stt", chosen)
    engine.load()
    return engine


def _different(texts: list[str], others: list[str]) -> int:
    return sum(
        normalised(one) != normalised(other) for one, other in zip(texts, others, strict=True)
    )


def _spread(times_ms: Sequence[float]) -> str:
    p50, p95 = (percentile(list(times_ms), percent) or 0.0 for percent in (50, 95))
    return f"{p50:>6.1f} ms {p95:>6.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
