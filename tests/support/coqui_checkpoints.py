"""Small checkpoints of Coqui's models with random weights, one of each kind for all tests."""

import atexit
import functools
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from antiphon_proto.errors import StartupError
from bench.gpu import coqui_checkpoints


@functools.cache
def shared(kind: str) -> Path:
    """Return a checkpoint for all tests, `vits`, `vits-two` or `xtts`, removed at the end.

    Raises StartupError where Coqui is not installed.
    """
    if importlib.util.find_spec("TTS") is None:
        raise StartupError("Coqui is not installed; run: make test-engines")
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    makers: dict[str, Callable[[Path], Path]] = {
        "vits": lambda place: coqui_checkpoints.vits(place, small=True),
        "vits-two": lambda place: coqui_checkpoints.vits(place, 2, small=True),
        "xtts": lambda place: coqui_checkpoints.xtts(place, small=True),
    }
    return makers[kind](directory / kind)
