"""A copy of a GGUF file whose Q4_1 weights are Q4_0, kept beside it.

llama.cpp multiplies Q4_0 matrices in blocks made for x86 and ARM processors, Q4_1 ones row by row.
"""

import fcntl
import logging
import os
import time
from contextlib import closing
from pathlib import Path

logger = logging.getLogger(__name__)

_MARK_KEY = "antiphon.source"
_HEAD_BYTES = 4096
"""The mark is the second entry of the metadata."""


def as_q4_0(source: Path) -> Path:
    """Return the Q4_0 copy of a GGUF file, which is made when `source` is new or has changed.

    Several processes may ask at once; one makes it. Returns `source` itself, with a warning in the
    log, where the copy cannot be written or `source` not be understood.
    """
    copy = source.with_suffix(".q4_0.gguf")
    try:
        mark = _mark(source)
        if not _is_made_from(mark, copy):
            with copy.with_suffix(".lock").open("w") as lock:
                # The kernel drops the lock with the process.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_made_from(mark, copy):
                    _make(source, mark, copy)
    except (OSError, ValueError, KeyError, IndexError) as exc:
        logger.warning("no faster copy of %s can be made (%r); it is loaded as it is", source, exc)
        return source
    return copy


def _mark(source: Path) -> str:
    status = source.stat()
    # Whole seconds: archives and image layers keep no more of them.
    return f"{status.st_size} bytes of {int(status.st_mtime)} s"


def _is_made_from(mark: str, copy: Path) -> bool:
    try:
        with copy.open("rb") as stream:
            return mark.encode() in stream.read(_HEAD_BYTES)
    except FileNotFoundError:
        return False


def _make(source: Path, mark: str, copy: Path) -> None:
    started_at = time.monotonic()
    partial = copy.with_suffix(".partial")
    try:
        _write(source, mark, partial)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, copy)
    finally:
        partial.unlink(missing_ok=True)
    took_ms = round((time.monotonic() - started_at) * 1000)
    logger.info("made %s, which is faster than %s, in %d ms", copy, source.name, took_ms)


def _write(source: Path, mark: str, target: Path) -> None:
    """Write the copy; its metadata, its other tensors and their order are those of `source`."""
    # A worker that finds the copy made is spared 30 MB of memory.
    import gguf
    import numpy as np
    from gguf.quants import dequantize, quantize

    logging.getLogger("gguf").setLevel(logging.WARNING)
    old, new = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q4_0
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    with closing(gguf.GGUFWriter(target, architecture, endianess=reader.endianess)) as writer:
        writer.add_string(_MARK_KEY, mark)
        for field in reader.fields.values():
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                writer.add_key_value(
                    field.name, field.contents(), field.types[0], sub_type=field.types[-1]
                )
        for tensor in reader.tensors:
            kind = new if tensor.tensor_type == old else tensor.tensor_type
            block_weights, block_bytes = gguf.GGML_QUANT_SIZES[kind]
            size_bytes = tensor.n_elements // block_weights * block_bytes
            shape = tensor.shape[::-1].tolist()
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), size_bytes, kind)
        writer.write_header_to_file(target)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            weights = tensor.data
            if tensor.tensor_type == old:
                weights = quantize(dequantize(weights, old), new)
            writer.write_tensor_data(weights, tensor_endianess=reader.endianess)
