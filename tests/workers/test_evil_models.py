"""A model file that is a pickle in disguise is refused, and what it wants is not done.

Nothing here loads it: the bytes are written by hand and given to the engines as a file.
"""

import pickletools
from pathlib import Path

import pytest

from antiphon_proto.config import load
from antiphon_workers import registry

pytestmark = pytest.mark.models

NAMES = ("model.bin", "model.pt", "model.onnx", "model.gguf", "model.onnx.json", "config.json")
NAMES += ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


@pytest.mark.parametrize(
    ("stage", "engine", "model"),
    [
        ("stt", "faster-whisper", ""),
        ("stt", "faster-whisper", "model.pt"),
        ("stt", "moonshine", ""),
        ("llm", "llamacpp", "model.gguf"),
        ("llm", "llamacpp", "model.pt"),
        ("tts", "piper", "model.onnx"),
        ("tts", "piper", "model.pt"),
    ],
)
def test_a_pickle_is_no_model(stage: str, engine: str, model: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickled = f"cposix\nmkdir\n(V{canary}\ntR.".encode()
    assert any(opcode.name == "REDUCE" for opcode, _, _ in pickletools.genops(pickled))
    for name in NAMES:
        (tmp_path / name).write_bytes(pickled)
    settings = [f"{stage}.engine={engine}", f"{stage}.model={tmp_path / model}"]
    loading = registry.create(stage, load(environment={}, settings=settings))  # type: ignore[arg-type]
    with pytest.raises(Exception):  # noqa: B017, PT011 - each library has its own, ours is a StartupError
        loading.load()
    assert not canary.exists()
