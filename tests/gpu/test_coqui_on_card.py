"""Coqui's voices on a graphics card: in pieces, the same again, and where they compute."""

import asyncio

import numpy as np
import pytest

from antiphon_proto.messages import AudioDelta, Synthesize
from antiphon_workers.engine import Engine
from tests.workers.engines import loaded, results

pytestmark = [pytest.mark.models, pytest.mark.timeout(300)]

TEXT = "The capital of France is Paris, and that of Spain is Madrid."
KINDS = {"vits": "coqui", "xtts": "coqui:xtts"}


async def engine(kind: str, device: str) -> Engine:
    return await asyncio.to_thread(loaded, "tts", KINDS[kind], f"tts.device={device}")


async def pieces(engine: Engine) -> list[bytes]:
    made = await results(engine, Synthesize(text=TEXT, voice=""))
    assert all(isinstance(body, AudioDelta) for body, _ in made)
    return [pcm for _, pcm in made]


@pytest.mark.parametrize("kind", KINDS)
async def test_speech_comes_in_pieces(kind: str, device: str) -> None:
    made = await pieces(await engine(kind, device))
    assert len(made) > 2
    assert len(made[0]) < len(b"".join(made)) / 2


@pytest.mark.parametrize("kind", KINDS)
async def test_speech_is_as_long_again(kind: str, device: str) -> None:
    voice = await engine(kind, device)
    one, other = [np.frombuffer(b"".join(await pieces(voice)), "<i2") for _ in range(2)]
    assert one.shape == other.shape


@pytest.mark.parametrize("kind", KINDS)
async def test_the_model_is_on_the_device(kind: str, device: str) -> None:
    voice = await engine(kind, device)
    model = voice._voice._model  # type: ignore[attr-defined]
    assert {weights.device.type for weights in model.parameters()} == {device}


async def test_windows_of_the_decoder_give_what_it_gives_at_once(device: str) -> None:
    loaded_engine = await engine("vits", device)
    import torch

    voice = loaded_engine._voice  # type: ignore[attr-defined]
    torch.manual_seed(1)
    windows = list(voice.speak(TEXT, "", 1.0, ""))
    torch.manual_seed(1)
    whole = voice._model.synthesize(TEXT)["wav"]
    joined = np.concatenate(windows)
    assert joined.shape == whole.shape
    # A card adds in another order for each shape, and cuDNN with fewer digits.
    assert np.abs(joined - whole).max() < 0.02
