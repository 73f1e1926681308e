"""The Q4_0 copy of a model: made once, remade for a new source, done without where it must be."""

import logging
import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from antiphon_proto.config import load
from antiphon_proto.models import manifest
from antiphon_workers.llm.llamacpp_engine import model_file
from antiphon_workers.llm.requantized import as_q4_0

Q4_0, Q4_1 = gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_1
SHAPE = (64, 96)


def write_model(path: Path, seed: int = 0) -> Path:
    """Write a GGUF file with a Q4_1 matrix, a float vector and some metadata."""
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_token_list(["a", "b", "é"])
    writer.add_token_scores([0.5, -1.0, 2.0])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    matrix = random.standard_normal(SHAPE).astype(np.float32)
    writer.add_tensor("matrix", quantize(matrix, Q4_1), raw_dtype=Q4_1)
    writer.add_tensor("vector", random.standard_normal(33).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.gguf")


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Refuse to write beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def metadata(reader: gguf.GGUFReader) -> dict[str, object]:
    return {
        name: (field.types, field.contents())
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }


def matrix_of(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    tensor = gguf.GGUFReader(path).get_tensor(0)
    return dequantize(tensor.data, tensor.tensor_type)


def test_only_q4_1_weights_change(source: Path) -> None:
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(as_q4_0(source))
    assert [tensor.tensor_type for tensor in before.tensors] == [Q4_1, 0]
    assert [tensor.tensor_type for tensor in after.tensors] == [Q4_0, 0]
    assert [tensor.name for tensor in after.tensors] == ["matrix", "vector"]
    np.testing.assert_array_equal(after.tensors[1].data, before.tensors[1].data)
    kept = metadata(after)
    del kept["antiphon.source"]
    assert kept == metadata(before)


def test_weights_are_the_nearest_of_q4_0(source: Path) -> None:
    old, new = matrix_of(source).reshape(-1, 32), matrix_of(as_q4_0(source)).reshape(-1, 32)
    extreme = np.take_along_axis(old, np.abs(old).argmax(axis=1, keepdims=True), axis=1)
    step = extreme / -8
    expected = step * np.clip(np.floor(old / step + 8.5) - 8, -8, 7)
    # The step is stored as a 16-bit float.
    np.testing.assert_allclose(new, expected, rtol=1e-3)


def test_a_copy_is_made_once(source: Path) -> None:
    copy = as_q4_0(source)
    made = copy.stat()
    assert copy == source.parent / "model.q4_0.gguf"
    assert as_q4_0(source) == copy
    assert copy.stat().st_ino == made.st_ino
    assert copy.stat().st_mtime_ns == made.st_mtime_ns


def test_several_workers_that_start_at_once_make_one_copy(
    source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with ThreadPoolExecutor(4) as workers:
        copies = set(workers.map(as_q4_0, [source] * 4))
    assert copies == {source.parent / "model.q4_0.gguf"}
    assert caplog.text.count("made ") == 1


def test_a_new_source_gets_a_new_copy(source: Path) -> None:
    old = matrix_of(as_q4_0(source))
    second = source.stat().st_mtime + 2
    os.utime(write_model(source, seed=1), (second, second))
    assert np.abs(matrix_of(as_q4_0(source)) - old).max() > 1.0


def test_a_directory_that_cannot_be_written_leaves_the_source(
    source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (source.parent / "model.q4_0.lock").mkdir()
    assert as_q4_0(source) == source
    assert "it is loaded as it is" in caplog.text


@pytest.mark.parametrize("size_bytes", [100, 3_000])
def test_a_full_disk_leaves_the_source_and_no_piece_of_a_copy(
    source: Path, size_bytes: int
) -> None:
    with largest_file(size_bytes):
        assert as_q4_0(source) == source
    assert {path.name for path in source.parent.iterdir()} == {"model.gguf", "model.q4_0.lock"}
    assert as_q4_0(source) != source


@pytest.mark.parametrize("content", [b"", b"no model", b"GGUF\x03\0\0\0" + b"\0" * 64])
def test_what_is_no_model_is_left_to_llama_cpp(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert as_q4_0(path) == path


def installed(cache_dir: Path) -> Path:
    """Install a small model under the name of the default one, with that one's size."""
    entry = manifest()["smollm2-135m"]
    (cache_dir / entry.name).mkdir()
    path = write_model(cache_dir / entry.name / "model.gguf")
    os.truncate(path, entry.bytes)
    return path


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        ([], "model.q4_0.gguf"),
        (["llm.requantize="], "model.gguf"),
        (["llm.model={path}"], "model.gguf"),
    ],
)
def test_only_a_manifest_model_is_loaded_from_a_copy(
    tmp_path: Path, settings: list[str], loaded: str
) -> None:
    path = installed(tmp_path)
    chosen = [setting.format(path=path) for setting in settings]
    config = load(environment={}, settings=[f"models.cache_dir={tmp_path}", *chosen])
    assert model_file(config) == path.with_name(loaded)
    assert path.with_name("model.q4_0.gguf").exists() is (loaded == "model.q4_0.gguf")
