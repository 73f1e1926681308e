"""`antiphon talk` as people run it, against a scripted server."""

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon_proto.audio import float_to_pcm16, read_wav, write_wav

RATE = 16_000
REPLY = float_to_pcm16(np.concatenate([np.zeros(800), np.full(3200, 0.2)]).astype(np.float32))
STEPS = {"pause_seen": 10, "transcript": 20, "endpoint": 25, "first_audio": 24, "audio_sent": 30}


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A recording of 0.3 s of sound and 0.1 s of silence."""
    time = np.arange(RATE * 3 // 10) / RATE
    sound = 0.3 * np.sin(2 * np.pi * 200 * time)
    path = tmp_path / "question.wav"
    samples = np.concatenate([sound, np.zeros(RATE // 10)]).astype(np.float32)
    write_wav(path, float_to_pcm16(samples), RATE)
    return path


async def run(command: str, *arguments: Any) -> tuple[int, str, str]:
    """Run `antiphon`; return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "antiphon", command, *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def answer(peer: Any, number: int = 1) -> None:
    """Hold one turn."""
    await peer.receive_speech()
    await peer.understand(f"question {number}", item_id=f"item_{number}")
    ids = await peer.speak(f"Answer {number}.", REPLY, number=number)
    await peer.done(ids["response_id"])
    await peer.send("antiphon.turn.metrics", turn_id=number, steps_ms=STEPS, **ids)


async def test_a_turn_prints_what_was_said_and_a_table_that_sums_up(
    serve: Any, question: Path, tmp_path: Path
):
    peers = []

    async def script(peer):
        peers.append(peer)
        await answer(peer)
        await peer.until_left()

    reply = tmp_path / "reply.wav"
    url = await serve(script)
    code, output, errors = await run("talk", question, "-o", reply, "--url", url, "--silence-ms", 0)
    assert (code, errors) == (0, "")
    assert "question 1" in output
    assert "Answer 1." in output
    table = [line for line in output.splitlines() if " ms" in line]
    shown = [int(line.split(" ms")[0].split()[-1]) for line in table]
    assert sum(shown[:-1]) == shown[-1]
    assert read_wav(reply) == (REPLY, RATE)
    microphone = peers[0].frames
    assert [frame.seq for frame in microphone] == list(range(len(microphone)))
    assert {len(frame.pcm) for frame in microphone} == {640}
    steps = {b.timestamp - a.timestamp for a, b in itertools.pairwise(microphone)}
    assert steps <= {19_999, 20_000, 20_001}
    sent = b"".join(frame.pcm for frame in microphone)
    assert read_wav(question)[0] in sent


async def test_several_recordings_are_turns_of_one_session(
    serve: Any, question: Path, tmp_path: Path
):
    sessions = []

    async def script(peer):
        sessions.append(peer)
        await answer(peer, 1)
        await answer(peer, 2)
        await peer.until_left()

    reply = tmp_path / "reply.wav"
    code, output, _ = await run(
        *("talk", question, question, "--json", "-o", reply),
        *("--url", await serve(script), "--silence-ms", 0),
    )
    assert code == 0
    assert len(sessions) == 1
    first, second = (json.loads(line) for line in output.splitlines())
    assert (first["transcript"], first["reply"]) == ("question 1", "Answer 1.")
    assert (second["transcript"], second["reply"]) == ("question 2", "Answer 2.")
    for turn in (first, second):
        assert turn["status"] == "completed"
        assert turn["speech_end_ms"] == 300
        assert turn["steps_ms"] == STEPS
        assert sum(part["part_ms"] for part in turn["parts"]) == turn["mouth_to_ear_ms"]
        assert turn["mouth_to_ear_ms"] - turn["first_sample_ms"] == pytest.approx(50, abs=2)
    assert read_wav(reply) == (REPLY * 2, RATE)


async def test_the_end_of_speech_can_be_given(serve: Any, question: Path):
    async def script(peer):
        await answer(peer)
        await peer.until_left()

    code, output, _ = await run(
        *("talk", question, "--json", "--speech-end-ms", 123),
        *("--url", await serve(script), "--silence-ms", 0),
    )
    assert code == 0
    assert json.loads(output)["speech_end_ms"] == 123


async def test_a_reply_that_does_not_come_names_the_missing_stage(serve: Any, question: Path):
    async def script(peer):
        await peer.receive_speech()
        await peer.understand("hello")
        await peer.until_left()

    code, output, errors = await run(
        "talk", question, "--url", await serve(script), "--timeout-s", 1
    )
    assert (code, output) == (2, "")
    assert errors == (
        "antiphon: question.wav: no reply within 1 s: "
        "the speech was transcribed but no response was begun\n"
    )


async def test_a_reply_without_audio_is_no_success(serve: Any, question: Path, tmp_path: Path):
    async def script(peer):
        await peer.receive_speech()
        await peer.understand("hello")
        ids = await peer.begin()
        error = {"code": "stage_unavailable", "message": "no speech worker"}
        await peer.done(ids["response_id"], "failed", type="failed", error=error)
        await peer.until_left()

    reply = tmp_path / "reply.wav"
    url = await serve(script)
    code, _, errors = await run("talk", question, "-o", reply, "--url", url, "--silence-ms", 0)
    assert code == 2
    assert errors == "antiphon: question.wav: the reply failed: no speech worker\n"
    assert not reply.exists()


async def test_a_session_that_ends_early_is_one_clear_line(serve: Any, question: Path):
    async def script(peer):
        await peer.receive_speech()
        await peer.socket.close(code=1012, message=b"the server is restarting")

    code, output, errors = await run("talk", question, "--url", await serve(script))
    assert (code, output) == (2, "")
    assert errors == "antiphon: the session was closed: the server is restarting (code 1012)\n"


async def test_what_cannot_be_said_is_refused_before_connecting(tmp_path: Path):
    missing, text, empty = tmp_path / "none.wav", tmp_path / "text.wav", tmp_path / "empty.wav"
    slow = tmp_path / "slow.wav"
    text.write_text("not audio")
    write_wav(empty, b"", RATE)
    write_wav(slow, bytes(200), 4_000)
    for path, reason in (
        (missing, "No such file"),
        (text, "not a PCM WAV file"),
        (empty, "holds no audio"),
        (slow, "4000 Hz, outside 8000..192000"),
    ):
        code, _, errors = await run("talk", path, "--url", "ws://127.0.0.1:1")
        assert code == 2
        assert reason in errors
        assert len(errors.splitlines()) == 1


async def test_no_server_is_one_clear_line(question: Path, unused_tcp_port: int):
    code, _, errors = await run("talk", question, "--set", f"gateway.port={unused_tcp_port}")
    assert code == 2
    assert errors == (
        f"antiphon: no server at ws://127.0.0.1:{unused_tcp_port}; start it with: make run\n"
    )
