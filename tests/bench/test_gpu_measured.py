"""The measurement of a graphics card, tried on the processor: real workers, small models."""

import asyncio
import json
import wave
from pathlib import Path

import pytest

from antiphon_proto import config, gpus, models
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_workers.registry import create
from bench.clips import DEFAULT_CLIPS, read_clips
from bench.gpu import __main__ as command
from bench.gpu import conversations, device, voices, whisper
from bench.gpu.whisper_checkpoints import SENTENCE, Size, make, size_named
from bench.stt import transcribed, utterance

SMALL = Size(width=64, heads=1, encoder_layers=1, decoder_layers=1)


def installed(name: str) -> Path:
    try:
        return models.find(name, config.Config().models.directory)
    except StartupError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("whisper") / "small", SMALL, installed("tiny.en"))


@pytest.mark.models
@pytest.mark.parametrize("compute_type", ["int8", "float32"])
@pytest.mark.parametrize("window", ["spliced", "padded"])
async def test_random_weights_say_their_sentence_of_any_speech(
    checkpoint: Path, compute_type: str, window: str
) -> None:
    settings = [
        f"stt.model={checkpoint}",
        f"stt.compute_type={compute_type}",
        f"stt.encoder_window={window}",
        "stt.turn_end_model=",
    ]
    chosen = config.load(environment={}, settings=settings)
    engine = await asyncio.to_thread(create, "stt", chosen)
    await asyncio.to_thread(engine.load)
    for clip in read_clips(DEFAULT_CLIPS)[:3]:
        assert await transcribed(engine, utterance(clip)) == SENTENCE
    await asyncio.to_thread(engine.close)


def test_the_sizes_are_named() -> None:
    assert size_named("tiny.en").width == 384
    with pytest.raises(ConfigurationError, match=r"'huge'; choose from: tiny\.en, .*turbo"):
        size_named("huge")


@pytest.mark.models
@pytest.mark.integration
@pytest.mark.thorough
def test_whisper_is_measured_with_real_workers(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.json"
    flags = ["--device", "cpu", "--models", "trained", "--set", f"stt.model={checkpoint}"]
    short = ["--batches", "2", "--workers", "1", "--seconds", "8", "--most", "2"]
    limit = ["--most-transcript-ms", "30000", "--clips", str(_one_clip(tmp_path))]
    assert command.main(["whisper", *flags, *short, *limit, "--json", str(file)]) == 0
    [found] = json.loads(file.read_text())["whisper"]
    assert found["variant"] == {
        "model": "trained",
        "compute_type": "int8",
        "batch": 2,
        "workers": 1,
    }
    assert 0 < found["alone_p50_ms"] <= found["alone_p95_ms"]
    assert found["burst_ms"] > 0
    assert found["conversations"] == 2
    assert found["memory_mib"] is None
    printed = capsys.readouterr().out
    assert printed.startswith(f"{device.name('cpu')}; ctranslate2 ")
    assert "no card used" in printed
    assert "trained          int8              2       1" in printed


def _one_clip(directory: Path) -> Path:
    """Return a directory with one clip of 1.5 s: sound, since what is said is no matter."""
    place = directory / "clips"
    place.mkdir()
    with wave.open(str(place / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 188)
    (place / "manifest.csv").write_text("file,transcript,vad_end\na.wav,what,1.3\n")
    return place


async def test_weights_that_say_something_else_are_not_measured() -> None:
    variant = whisper.Variant("tiny.en", "float16", 1, 1)
    whisper._check(variant, [SENTENCE, SENTENCE])
    whisper._check(variant._replace(model="trained"), ["anything"])
    with pytest.raises(StartupError, match="said 'you' and not its sentence"):
        whisper._check(variant, [SENTENCE, "you"])


async def test_a_conversation_that_gets_no_answer_does_not_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversations, "GRACE_S", 0.05)

    async def turn(number: int, due_s: float) -> tuple[float, float]:
        if number == 1:
            await asyncio.sleep(3600)
        return 1.0, 0.0

    outcome = await conversations.converse([[0.0], [0.0]], 0.1, turn)
    assert outcome == conversations.Outcome([1.0], [0.0], unanswered=1)


@pytest.mark.parametrize(
    ("wait_ms", "late_ms", "held"), [(99.0, 59.0, 2), (101.0, 0.0, 0), (1.0, 61.0, 0)]
)
async def test_conversations_hold_that_wait_little_and_have_no_gap(
    monkeypatch: pytest.MonkeyPatch, wait_ms: float, late_ms: float, held: int
) -> None:
    monkeypatch.setattr(conversations, "turns_s", lambda count, *_, **__: [[0.0]] * count)

    async def turn(number: int, due_s: float) -> tuple[float, float]:
        return wait_ms, late_ms

    limits = conversations.Limits(most_ms=100.0, seconds=0.1, most_conversations=2)
    assert await conversations.carried(turn, limits) == (held, wait_ms if held else None)


def test_the_card_is_named_and_its_absence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = (gpus.Gpu(0, "a", "NVIDIA H100", 81_559, 500), gpus.Gpu(1, "b", "NVIDIA T4", 15_360, 0))
    monkeypatch.setattr(gpus, "present", lambda: gpus.Cards(two))
    assert device.name("cuda") == "NVIDIA H100, 81559 MiB; 1 more not used"
    assert device.used_mib("cuda") == 500
    monkeypatch.setattr(gpus, "present", lambda: gpus.Cards(problem="nvidia-smi is not installed"))
    assert command.main(["whisper"]) == 2
    assert capsys.readouterr().err == (
        "error: no NVIDIA card: nvidia-smi is not installed; "
        "--device cpu tries the program on the processor\n"
    )


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["llm"], "llm is none of: words, whisper, voices"),
        (["--batches", "0"], "0 is less than 1"),
        (["--seconds", "2"], "2 s is less than one turn of 8 s"),
    ],
)
def test_wrong_flags_are_told(
    flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(flags)
    assert complaint in capsys.readouterr().err


def test_a_row_has_what_the_head_has() -> None:
    variant = whisper.Variant("large-v3-turbo", "int8_float16", 16, 4)
    row = whisper.Found(variant, 21.4, 40.0, 77.0, 512, 199.6, 8_123).row()
    figures = "large-v3-turbo int8_float16 16 4 21 / 40 ms 77 ms 512 200 ms 8123 MiB"
    assert " ".join(row.split()) == figures
    assert len(row) == len(whisper.HEAD)
    spoken = voices.Found("xtts", 4, 180.0, 200.0, 0.31, 0, None, None).row()
    assert len(spoken) == len(voices.HEAD)
    assert " ".join(spoken.split()) == "xtts 4 180 / 200 ms 0.31 0"
