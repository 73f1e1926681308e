"""`make bench-gpu`: what a graphics card carries, of Whisper and of voices. See README.md."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from antiphon_proto import config
from antiphon_proto.errors import AntiphonError
from antiphon_workers.process import wait_asleep
from bench.clips import DEFAULT_CLIPS, read_clips
from bench.gpu import device, voices, whisper, words
from bench.gpu.conversations import Limits
from bench.gpu.search import TURN_S
from bench.gpu.whisper_checkpoints import SIZES

PARTS = ("words", "whisper", "voices")
LIBRARIES = ("ctranslate2", "torch", "coqui-tts", "nvidia-cublas-cu12")
COMPUTE_TYPES = {"cuda": ("float16",), "cpu": ("int8",)}
MOST_TRANSCRIPT_MS = 200.0
MOST_FIRST_AUDIO_MS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; the exit code is 0, or 2 without a card, an engine or the clips."""
    options = _parser().parse_args(arguments)
    # Before the model libraries are imported, which read the environment then.
    wait_asleep()
    logging.disable(logging.WARNING)  # that workers go at the end of a step
    try:
        found = {"device": device.name(options.device), "libraries": _libraries()}
        print(f"{found['device']}; {found['libraries']}", flush=True)
        for part in options.parts or PARTS:
            found[part] = asyncio.run(_MEASURED[part](options))
    except AntiphonError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        logging.disable(logging.NOTSET)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    config.add_arguments(parser)
    add = parser.add_argument
    parts = ", ".join(PARTS)
    add("parts", nargs="*", type=_part, metavar="PART", help=f"of: {parts}; all unless told")
    add("--device", choices=device.DEVICES, default="cuda", help="cpu: try the program without")
    add(
        "--models",
        nargs="+",
        default=["tiny.en", "small.en", "large-v3-turbo"],
        choices=[*SIZES, "trained"],
        help="of Whisper, with random weights; trained: that of stt.engine and stt.model",
    )
    add("--compute", nargs="+", metavar="TYPE", help="number formats of Whisper; default: float16")
    add("--batches", nargs="+", type=_count, default=[1, 16], metavar="N", help="of Whisper")
    add(
        "--voices",
        nargs="+",
        default=["vits", "xtts"],
        choices=["vits", "xtts", "trained"],
        help="with random weights; trained: that of tts.engine and tts.model",
    )
    add("--workers", nargs="+", type=_count, default=[1, 4], metavar="N", help="processes a card")
    add("--seconds", type=_seconds, default=16.0, help=f"of each step, at least {TURN_S:g}")
    add("--most", type=_count, default=512, help="conversations tried at most")
    add("--most-transcript-ms", type=float, default=MOST_TRANSCRIPT_MS, help="95 %% wait for it")
    add("--most-first-audio-ms", type=float, default=MOST_FIRST_AUDIO_MS, help="95 %% wait for it")
    add("--clips", type=Path, default=DEFAULT_CLIPS, help="recordings and manifest")
    add("--json", type=Path, help="write all figures there")
    return parser


async def _words(options: argparse.Namespace) -> list[Any]:
    clips = read_clips(options.clips)
    print(f"\nWords, {len(clips)} clips, {_model(options)}\n{words.HEAD}")
    heard: list[words.Heard] = []
    for name, chosen in words.engines(options.device, _compute_types(options)).items():
        found = await words.heard(name, chosen, clips, options.settings)
        print(found.row(heard), flush=True)
        heard.append(found)
    return [each._asdict() for each in heard]


async def _whisper(options: argparse.Namespace) -> list[Any]:
    clips = read_clips(options.clips)
    limits = _limits(options, options.most_transcript_ms)
    print(
        f"\nWhisper, a clip each {TURN_S:g} s in every conversation, "
        f"95 % of the final transcripts within {limits.most_ms:g} ms\n{whisper.HEAD}"
    )
    found = []
    for model, path in whisper.directories(options.models, options.settings):
        for compute_type in _compute_types(options):
            for batch in options.batches:
                for workers in options.workers:
                    variant = whisper.Variant(model, compute_type, batch, workers)
                    found.append(
                        await whisper.measure(
                            variant, path, clips, options.device, options.settings, limits
                        )
                    )
                    print(found[-1].row(), flush=True)
    return [{**each._asdict(), "variant": each.variant._asdict()} for each in found]


async def _voices(options: argparse.Namespace) -> list[Any]:
    limits = _limits(options, options.most_first_audio_ms)
    print(
        f"\nVoices, {voices.REPLY_MS / 1000:g} s each {TURN_S:g} s in every conversation, "
        f"95 % begin within {limits.most_ms:g} ms and have no gap\n{voices.HEAD}"
    )
    found = []
    for model, path in voices.directories(options.voices, options.settings):
        for workers in options.workers:
            found.append(
                await voices.measure(model, path, workers, options.device, options.settings, limits)
            )
            print(found[-1].row(), flush=True)
    return [each._asdict() for each in found]


_MEASURED: dict[str, Callable[[argparse.Namespace], Any]] = {
    "words": _words,
    "whisper": _whisper,
    "voices": _voices,
}


def _limits(options: argparse.Namespace, most_ms: float) -> Limits:
    return Limits(most_ms, options.seconds, options.most)


def _compute_types(options: argparse.Namespace) -> Sequence[str]:
    chosen: Sequence[str] = options.compute or COMPUTE_TYPES[options.device]
    return chosen


def _model(options: argparse.Namespace) -> str:
    return config.load(environment={}, settings=options.settings).stt.model


def _libraries() -> str:
    """Return the versions of what computes."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text} is none of: {', '.join(PARTS)}")
    return text


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds < TURN_S:
        raise argparse.ArgumentTypeError(f"{text} s is less than one turn of {TURN_S:g} s")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
