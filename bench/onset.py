"""How soon the detector hears somebody begin to speak, and how often it takes a noise for that.

Each recording begins after 1.5 s of faint noise, at two places in the detector's window. The rules
are those over a response; see `gateway/antiphon_gateway/detection_rule.py`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from antiphon_gateway.endpointing import Endpointer, EndpointingRule, SpeechEdge
from antiphon_gateway.vad import WINDOW_SAMPLES, SileroModel
from antiphon_proto import models
from antiphon_proto.audio import Samples
from antiphon_proto.config import Config
from antiphon_proto.errors import AntiphonError
from bench.statistics import percentile
from bench.turn_recordings import probabilities_of
from bench.turns.material import read_material
from bench.turns.sound import RATE_HZ, Sound, sample_at

RULES = [(0.0, 96), (0.0, 64), (0.0, 32), (0.1, 32), (0.2, 96), (0.2, 32), (0.3, 32)]
"""How far below the threshold the first window may be, and the speech needed, in ms."""
_DATA = Path(__file__).parents[1] / "tests" / "data"
_THRESHOLD = 0.5
_ENDED_MS = 160
_LEAD_SAMPLES = RATE_HZ * 3 // 2
_PHASES = (0, 256)
_HEARD_SAMPLES = 2 * RATE_HZ
_NOISE_SAMPLES = 8 * RATE_HZ


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 2 when nothing could be measured."""
    arguments = _parser().parse_args(argv)
    try:
        model = SileroModel(models.find("silero-vad", Config().models.directory))
        material = read_material(
            arguments.clips, _DATA / "backchannels", _DATA / "coughs", arguments.noises
        )
    except AntiphonError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    spoken = [
        (place, _heard(model, _begun(clip, place)))
        for clip in material.clips
        for place in (_LEAD_SAMPLES + phase for phase in _PHASES)
    ]
    noises = [_heard(model, noise.samples[:_NOISE_SAMPLES]) for noise in material.noises]
    noise_s = sum(min(len(noise.samples), _NOISE_SAMPLES) for noise in material.noises) / RATE_HZ
    print(f"{len(spoken)} beginnings of speech, {noise_s:.0f} s of noise")
    print("margin  speech  onset to detection p50   p95   missed  begun by noise")
    for margin, speech_ms in RULES:
        waits = [
            (found - place) * 1000 / RATE_HZ
            for place, probabilities in spoken
            if (found := next(iter(_starts(probabilities, margin, speech_ms)), None)) is not None
        ]
        missed = len(spoken) - len(waits)
        begun = sum(len(_starts(probabilities, margin, speech_ms)) for probabilities in noises)
        p50, p95 = percentile(waits, 50) or 0, percentile(waits, 95) or 0
        print(f"{margin:6.1f} {speech_ms:4} ms {p50:19.0f} ms {p95:4.0f} ms {missed:6} {begun:12}")
    return 0


def _begun(clip: Sound, lead_samples: int) -> Samples:
    """Return the beginning of a recording's speech after so much faint noise."""
    noise = np.random.default_rng(0).normal(0, 1e-4, lead_samples)
    start = sample_at(clip.start_ms)
    return np.concatenate([noise, clip.samples[start : start + _HEARD_SAMPLES]]).astype(np.float32)


def _heard(model: SileroModel, samples: Samples) -> list[float]:
    pcm = np.clip(samples * 32_768, -32_768, 32_767).astype(np.int16)
    return probabilities_of(pcm, model)


def _starts(probabilities: Sequence[float], margin: float, speech_ms: int) -> list[int]:
    """Return the samples at which it was known that speech began."""
    rule = EndpointingRule(
        _THRESHOLD, speech_ms, _ENDED_MS, _ENDED_MS, sys.maxsize, onset_margin=margin
    )
    endpointer, found = Endpointer(rule), []
    for window, probability in enumerate(probabilities, start=1):
        edges = endpointer.feed(probability)
        if any(edge.kind is SpeechEdge.STARTED for edge in edges):
            found.append(window * WINDOW_SAMPLES)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.onset", description=__doc__)
    parser.add_argument("--clips", type=Path, default=_DATA / "speech", help="directory of speech")
    parser.add_argument(
        "--noises", type=Path, default=_DATA / "nonspeech", help="directory of WAV files"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
