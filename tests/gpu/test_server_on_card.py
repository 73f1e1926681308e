"""A whole server whose ears and voice are on a graphics card, and the measurement of one."""

from collections.abc import Iterator
from pathlib import Path

import coqui_checkpoints
import pytest
from system import System, running_system
from system_client import OUT_HZ, connected

from antiphon_proto.errors import StartupError
from bench.gpu import __main__ as command
from bench.gpu import device as measured

pytestmark = [pytest.mark.models, pytest.mark.integration, pytest.mark.timeout(300)]


def coqui(kind: str) -> Path:
    try:
        return coqui_checkpoints.shared(kind)
    except StartupError as exc:
        pytest.skip(str(exc))


@pytest.fixture(params=["vits", "xtts"])
def server(request: pytest.FixtureRequest, device: str) -> Iterator[System]:
    """A server of which the language model alone is none."""
    settings = {
        "stt.device": device,
        "stt.compute_type": "float16" if device == "cuda" else "int8",
        "stt.slots": 8,
        "stt.batch": 8,
        "llm.engine": "simulated",
        "tts.engine": "coqui",
        "tts.model": coqui(request.param),
        "tts.device": device,
    }
    with running_system(settings, ready_within_s=240.0) as server:
        yield server
        server.assert_no_traceback()


async def test_a_spoken_question_is_heard_and_answered_aloud(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.speak("what_time_is_it")
        response = await client.done(120)
        assert response["status"] == "completed", response
        assert "what time is it" in " ".join(client.transcripts).lower()
        assert len(client.of_type("response.output_audio.delta")) > 3
        assert len(client.audio) > OUT_HZ // 2


def test_the_measurement_runs_and_names_the_device(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--device", device, "--models", "tiny.en", "--batches", "4", "--workers", "1"]
    limits = ["--seconds", "8", "--most", "1"]
    assert command.main(["whisper", *short, *limits]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(measured.name(device))
    assert "tiny.en" in printed
