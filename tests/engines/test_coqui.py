"""Coqui's VITS and XTTS from small random checkpoints: loading, streaming, voices, whole turns.

`make test-engines` runs this in an environment of its own; without Coqui it is skipped.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import coqui_checkpoints
import numpy as np
import pytest
from system import System, running_system
from system_client import OUT_HZ, connected

from antiphon_proto.audio import write_wav
from antiphon_proto.config import load
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import AudioDelta, Job, Synthesize
from antiphon_workers.engine import Engine
from antiphon_workers.registry import create
from antiphon_workers.tts import card_memory

pytest.importorskip("TTS", reason="Coqui is not installed; run: make test-engines")

pytestmark = pytest.mark.timeout(300)

TEXT = "The capital of France is Paris, and that of Spain is Madrid."
RATES_HZ = {"vits": 22_050, "vits-two": 22_050, "xtts": 24_000}
_loaded: dict[tuple[str, ...], Engine] = {}


def engine(kind: str, *settings: str) -> Engine:
    """Return a loaded engine, kept for the tests that follow."""
    key = (kind, *settings)
    if key not in _loaded:
        _loaded[key] = opened(f"tts.model={coqui_checkpoints.shared(kind)}", *settings)
        _loaded[key].load()
    return _loaded[key]


def opened(*settings: str) -> Engine:
    return create("tts", load(environment={}, settings=["tts.engine=coqui", *settings]))


def job(text: str, voice: str = "", speed: float = 1.0, language: str = "") -> Job:
    return Job(
        job_id="job-1",
        session_id="session-1",
        turn_id=1,
        revision=0,
        attempt=1,
        reply_to="gateway-0",
        budget_ms=60_000,
        command=Synthesize(text=text, voice=voice, speed=speed, language=language),
    )


async def pieces(
    engine: Engine, text: str, voice: str = "", speed: float = 1.0, language: str = ""
) -> list[bytes]:
    made = [step async for step in engine.run(job(text, voice, speed, language), b"")]
    parts = [step for step in made if isinstance(step, tuple)]
    assert all(isinstance(body, AudioDelta) for body, _ in parts)
    assert {body.sample_rate_hz for body, _ in parts} <= set(RATES_HZ.values())
    return [pcm for _, pcm in parts]


@pytest.mark.parametrize("kind", RATES_HZ)
async def test_speech_comes_in_pieces_and_the_same_again(kind: str) -> None:
    voice = await asyncio.to_thread(engine, kind)
    first = await pieces(voice, TEXT)
    assert len(first) > 2
    assert len(first[0]) < len(b"".join(first)) / 2
    assert b"".join(first) == b"".join(await pieces(voice, TEXT))
    assert b"".join(first) != b"".join(await pieces(voice, TEXT + " Yes."))


@pytest.mark.parametrize("kind", RATES_HZ)
async def test_text_without_a_letter_is_nothing(kind: str) -> None:
    assert await pieces(await asyncio.to_thread(engine, kind), " ... !") == []


@pytest.mark.parametrize("kind", ["vits", "xtts"])
async def test_a_job_ends_at_its_next_piece_and_leaves_no_trace(kind: str) -> None:
    voice = await asyncio.to_thread(engine, kind)
    expected = await pieces(voice, TEXT)
    async with aclosing(voice.run(job(TEXT), b"")) as running:
        await anext(running)
    assert await pieces(voice, TEXT) == expected


async def test_windows_of_the_decoder_give_what_it_gives_at_once() -> None:
    import torch

    from antiphon_workers.tts.coqui_voices import VitsVoice

    loaded = await asyncio.to_thread(engine, "vits")
    voice = loaded._voice  # type: ignore[attr-defined]
    assert isinstance(voice, VitsVoice)
    torch.manual_seed(1)
    windows = list(voice.speak(TEXT, "", 1.0, ""))
    torch.manual_seed(1)
    whole = voice._model.synthesize(TEXT)["wav"]
    assert len(windows) > 3
    joined = np.concatenate(windows)
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 1e-4


async def test_slower_speech_is_longer() -> None:
    voice = await asyncio.to_thread(engine, "vits")
    usual, slow = [len(b"".join(await pieces(voice, TEXT, speed=speed))) for speed in (1.0, 0.5)]
    assert slow > 1.5 * usual


@pytest.mark.parametrize("kind", ["vits-two", "xtts"])
async def test_a_speaker_is_chosen_by_name_and_any_other_name_is_the_first(kind: str) -> None:
    voice = await asyncio.to_thread(engine, kind)
    ann, bob, other = [b"".join(await pieces(voice, TEXT, name)) for name in ("ann", "bob", "")]
    assert ann != bob
    assert ann[:1000] != bob[:1000]
    assert other


async def test_the_owner_says_which_speaker_is_the_default() -> None:
    ours = await asyncio.to_thread(engine, "vits-two", "tts.voices=bob")
    assert ours._voice._speaker("alloy") == "bob"  # type: ignore[attr-defined]
    with pytest.raises(StartupError, match="names eve"):
        await asyncio.to_thread(engine, "vits-two", "tts.voices=eve")


async def test_a_voice_is_cloned_only_where_the_owner_has_a_directory_for_it(
    tmp_path: Path,
) -> None:
    hum = np.sin(np.arange(22_050 * 3) * 0.05) * 8_000
    write_wav(tmp_path / "carol.wav", hum.astype("<i2").tobytes(), 22_050)
    without = await asyncio.to_thread(engine, "xtts")
    assert without._voice._speaker("carol") == "ann"  # type: ignore[attr-defined]
    cloning = await asyncio.to_thread(engine, "xtts", f"tts.cloning_dir={tmp_path}")
    assert cloning._voice._speaker("carol") == "carol"  # type: ignore[attr-defined]
    assert b"".join(await pieces(cloning, TEXT, "carol"))
    assert cloning._voice._speaker("../carol") == "ann"  # type: ignore[attr-defined]


async def test_another_language_is_spoken_or_refused_with_those_there_are() -> None:
    german = await asyncio.to_thread(engine, "xtts", "tts.language=de")
    assert b"".join(await pieces(german, "Guten Tag, wie geht es dir?"))
    with pytest.raises(StartupError, match="one of: en, de"):
        await asyncio.to_thread(engine, "xtts", "tts.language=fr")


async def test_a_job_is_spoken_in_its_own_language_where_the_model_knows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    german = await asyncio.to_thread(engine, "xtts", "tts.language=de")
    assert german.languages == ("de", "en")
    asked: list[str] = []
    stream = german._voice._model.inference_stream  # type: ignore[attr-defined]

    def noted(text: str, language: str, *rest: object, **settings: object) -> Iterator[object]:
        asked.append(language)
        return stream(text, language, *rest, **settings)  # type: ignore[no-any-return]

    monkeypatch.setattr(german._voice._model, "inference_stream", noted)  # type: ignore[attr-defined]
    for language in ("en", "", "fr"):
        assert b"".join(await pieces(german, TEXT, language=language))
    assert asked == ["en", "de", "de"]


def test_a_limit_of_the_cards_memory_is_set_before_anything_is_on_the_card(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[int] = []
    monkeypatch.setattr(card_memory, "limit", lambda _, limit_mib: limits.append(limit_mib))
    model = f"tts.model={coqui_checkpoints.shared('vits')}"
    opened(model, "tts.gpu_memory_mib=4000").load()
    assert limits == []
    with contextlib.suppress(StartupError):  # without a card
        opened(model, "tts.device=cuda", "tts.gpu_memory_mib=4000").load()
    assert limits == [4000]


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"config\.json"):
        opened(f"tts.model={tmp_path}").load()
    source = coqui_checkpoints.shared("vits")
    shutil.copy(source / "config.json", tmp_path)
    with pytest.raises(StartupError, match="no checkpoint"):
        opened(f"tts.model={tmp_path}").load()


def test_a_pickle_is_no_model_and_is_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    shutil.copy(coqui_checkpoints.shared("vits") / "config.json", tmp_path)
    (tmp_path / "model.pth").write_bytes(f"cposix\nmkdir\n(V{canary}\ntR.".encode())
    with pytest.raises(StartupError, match="cannot load"):
        opened(f"tts.model={tmp_path}").load()
    assert not canary.exists()


@pytest.fixture(params=["vits", "xtts"])
def server(request: pytest.FixtureRequest) -> Iterator[System]:
    """A server of which the voice alone is real."""
    settings = {
        "stt.engine": "simulated",
        "llm.engine": "simulated",
        "tts.engine": "coqui",
        "tts.model": coqui_checkpoints.shared(request.param),
        "turn_taking.detector": "loudness",
    }
    with running_system(settings, ready_within_s=120.0) as server:
        yield server
        server.assert_no_traceback()


async def test_a_whole_answer_is_streamed_aloud(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.say_text("What is the capital of France?")
        response = await client.done(120)
        assert response["status"] == "completed", response
        deltas = client.of_type("response.output_audio.delta")
        assert len(deltas) > 3
        assert len(client.audio) > OUT_HZ // 2
        assert client.reply_deltas == "This is a simulated reply. It has two sentences."
