"""The figures of the latency measurement, on made turns and against a scripted server."""

import argparse
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon import events
from antiphon.connection import Audio
from antiphon.playout_clock import PlayoutClock
from antiphon.recording import Recording
from antiphon.spoken_turn import NoReply, SpokenTurn
from antiphon.turn import Reply
from antiphon_proto.config import Config, load
from antiphon_proto.errors import ConfigurationError
from bench import latency, levers
from bench.clips import DEFAULT_CLIPS, Clip, read_clips
from bench.latency import main
from bench.report import Outcome, as_json, as_text
from bench.statistics import normalised, percentile, word_error_rate


def turn(wait_ms: float, said: str, understood: str) -> tuple[Clip, SpokenTurn]:
    recording = Recording("clip.wav", b"\0\0", 16_000, 0.0)
    reply = Reply("r1")
    reply.add_audio(Audio("r1", "i1", 16_000, b"\0\x10" * 160, 1.0))
    reply.result = events.Response("r1", "completed")
    reply.steps_ms = {"transcript": wait_ms / 2, "audio_sent": wait_ms - 10}
    return Clip(recording, said), SpokenTurn(recording, understood, reply, wait_ms, wait_ms, 0)


def test_percentiles_interpolate():
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.5
    assert percentile([], 50) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Go forward, 10 meters!", "go forward ten meters"),
        ("A 12-ounce latte", "a twelve ounce latte"),
        ("It\u2019s 42 or 60.", "it's forty two or sixty"),
        ("In 1984", "in 1984"),
    ],
)
def test_transcripts_are_compared_as_plain_words(text: str, words: str):
    assert normalised(text) == words


def test_word_errors_are_counted_per_reference_word():
    pairs = [("one two three", "One, 2, three."), ("four five", "four")]
    assert word_error_rate(pairs) == pytest.approx(1 / 5)
    assert word_error_rate([("yes", "")]) == 1.0
    assert word_error_rate([]) is None


def test_the_report_holds_percentiles_of_the_waits_and_of_each_step():
    outcome = Outcome(2)
    outcome.turns = [turn(float(ms), "hello world", "hello word") for ms in range(100, 301, 100)]
    outcome.jitter_ms = [0.1, 0.2, 3.0]
    figures = as_json(outcome)
    assert figures["mouth_to_ear_ms"] == {"p50": 200.0, "p95": 290.0, "all": [100, 200, 300]}
    assert figures["steps_ms"]["transcript"] == {"p50": 100.0, "p95": 145.0}
    assert figures["parts_ms"]["audio sent"]["p50"] == 90.0
    assert figures["wer"] == 0.5
    assert figures["jitter_ms"]["max"] == 3.0
    text = as_text(outcome)
    assert "200 ms   290 ms" in text
    assert "word error rate 50.0 %" in text


def test_the_report_counts_replies_with_gaps():
    outcome = Outcome(2)
    outcome.gaps_ms = [[], [100.0, 300.0], [], [200.0]]
    gaps = as_json(outcome)["gaps"]
    assert gaps == {"replies": 4, "with_gaps": 2, "p95_ms": 290.0, "longest_ms": 300.0}
    assert "gaps in 2 of 4 replies: p95 290 ms, longest 300 ms" in as_text(outcome)
    outcome.gaps_ms = [[], []]
    assert "gaps in 0 of 2 replies\n" in as_text(outcome)


class Silent:
    """A conversation in which nobody answers any more."""

    async def say(self, recording: Recording, *, timeout_s: float) -> SpokenTurn:
        raise NoReply(f"{recording.name}: no reply within {timeout_s:g} s")


async def test_gaps_are_counted_in_all_that_was_heard(monkeypatch: pytest.MonkeyPatch):
    @contextlib.asynccontextmanager
    async def conversation(
        _url: str, *, sample_rate_hz: int, playout: PlayoutClock
    ) -> AsyncIterator[Silent]:
        assert sample_rate_hz == 16_000
        playout.received("i1", 0.1, 10.0)
        playout.received("i1", 0.1, 10.3)
        yield Silent()

    monkeypatch.setattr(latency, "conversation", conversation)
    clip = Clip(Recording("clip.wav", b"\0\0", 16_000, 0.0), "hello")
    outcome = await latency.measure("ws://test", [clip], latency.Limits(1, 10.0, 1.0), 2)
    assert len(outcome.failures) == 2
    assert outcome.gaps_ms == [[pytest.approx(200)], [pytest.approx(200)]]


def test_a_measurement_without_turns_can_be_reported():
    outcome = Outcome(1)
    outcome.failures.append("no server")
    assert json.loads(json.dumps(as_json(outcome), allow_nan=False))["wer"] is None
    assert "no server" in as_text(outcome)


def test_the_clips_of_the_repository_have_transcripts_and_ends_of_speech():
    clips = read_clips(DEFAULT_CLIPS)
    assert len(clips) >= 12
    for clip in clips:
        length_ms = len(clip.recording.pcm) / 2 * 1000 / clip.recording.sample_rate_hz
        assert clip.recording.speech_end_ms is not None
        assert 500 < clip.recording.speech_end_ms <= length_ms + 5
        assert clip.transcript


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read"),
        ("file,vad_end\na.wav,1\n", "no column 'transcript'"),
        ("file,transcript,vad_end\na.wav,,1\n", "lists no clip"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path: Path, content: str | None, problem: str):
    if content is not None:
        (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(ConfigurationError, match=problem):
        read_clips(tmp_path)


def test_a_server_that_is_not_there_is_a_failed_measurement(unused_tcp_port: int, capsys):
    assert main(["--url", f"ws://127.0.0.1:{unused_tcp_port}", "--turns", "1", "--json"]) == 1
    outcomes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [outcome["sessions"] for outcome in outcomes] == [1, 2, 4]
    assert all("make run" in outcome["failures"][0] for outcome in outcomes)
    assert [outcome["skipped"] for outcome in outcomes] == [1, 2, 4]


def test_every_switch_names_a_setting_and_changes_it():
    parser = argparse.ArgumentParser()
    levers.add_arguments(parser)
    switches = [f"--no-{name}" for name in levers.LEVERS] + ["--full-window"]
    for switch in switches:
        settings = parser.parse_args([switch]).settings
        assert load(environment={}, settings=settings) != Config()
    assert (
        len(parser.parse_args([*switches, "--set", "stt.threads=3"]).settings) == len(switches) + 1
    )
    assert parser.parse_args([]).settings == []
