"""Ten recordings of people, said to the embedded server by `antiphon talk`, two at a time."""

import csv
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from system import System
from system_client import SPEECH, word_errors
from system_ears import Ears

from antiphon_proto.audio import read_wav

pytestmark = [
    pytest.mark.integration,
    pytest.mark.models,
    pytest.mark.thorough,
    pytest.mark.timeout(180),
]

CONVERSATIONS = (
    ("what_time_is_it", "dog_or_cat", "lobster", "turn_on_lamp", "every_purchase"),
    ("swim_in_the_seine", "would_you_please", "how_can_i_begin", "go_forward", "garland"),
)
MARGIN = 0.05
"""Word errors that may come from the microphone being open all the time."""
INTELLIGIBLE = 0.2
logger = logging.getLogger(__name__)


def references() -> dict[str, str]:
    """Return what is said in each recording, by its file name."""
    with (SPEECH / "manifest.csv").open() as stream:
        return {row["file"]: row["transcript"] for row in csv.DictReader(stream)}


def talk(server: System, recordings: tuple[str, ...], output: Path) -> "subprocess.Popen[str]":
    """Start to say recordings as the turns of one session."""
    files = [str(SPEECH / f"{name}.wav") for name in recordings]
    command = [sys.executable, "-m", "antiphon", "talk", *files, "--json", "-o", str(output)]
    return subprocess.Popen(
        [*command, "--url", server.realtime_url, "--silence-ms", "500"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def turns_of(talking: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """Wait for a conversation's end; return its turns."""
    output, errors = talking.communicate()
    assert talking.returncode == 0, errors
    assert errors == ""
    return [json.loads(line) for line in output.splitlines()]


def replies(path: Path, turns: list[dict[str, Any]]) -> list[bytes]:
    """Return the audio of each turn's reply; the file has them one behind the other."""
    pcm, rate = read_wav(path)
    assert rate == turns[0]["sample_rate_hz"]
    cut: list[bytes] = []
    for turn in turns:
        size = turn["reply_audio_ms"] * rate // 1000 * 2
        cut.append(pcm[:size])
        pcm = pcm[size:]
    assert len(pcm) < rate // 10
    return cut


def test_people_are_understood_and_answered_intelligibly(
    embedded_system: System, ears: Ears, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.wav" for number in range(len(CONVERSATIONS))]
    talking = [
        talk(embedded_system, names, file) for names, file in zip(CONVERSATIONS, files, strict=True)
    ]
    conversations = [turns_of(process) for process in talking]
    turns = [turn for conversation in conversations for turn in conversation]
    names = [turn["file"] for turn in turns]
    assert names == [f"{name}.wav" for recordings in CONVERSATIONS for name in recordings]

    said = [references()[name] for name in names]
    understood = word_errors(said, [turn["transcript"] for turn in turns])
    offline = word_errors(said, [ears.hear_file(SPEECH / name) for name in names])

    spoken = [
        pcm for file, each in zip(files, conversations, strict=True) for pcm in replies(file, each)
    ]
    heard = [ears.hear(pcm, turns[0]["sample_rate_hz"]) for pcm in spoken]
    texts = [turn["reply"] for turn in turns]
    intelligible = word_errors(texts, heard)

    for turn, ear in zip(turns, heard, strict=True):
        logger.info("%s %r", turn, ear)
    logger.info("word errors: %.3f, offline %.3f, replies %.3f", understood, offline, intelligible)
    assert all(texts)
    assert {turn["status"] for turn in turns} <= {"completed", "incomplete"}
    assert understood <= offline + MARGIN, [turn["transcript"] for turn in turns]
    assert intelligible <= INTELLIGIBLE, list(zip(texts, heard, strict=True))
