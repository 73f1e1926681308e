"""Runs the server's programs that measure and simulate for `antiphon plan`."""

import subprocess
import sys
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from antiphon_proto.errors import StartupError
from antiphon_proto.planning import Figures, Plan

AnswerT = TypeVar("AnswerT", Figures, Plan)


def ask(module: str, flags: Sequence[str], question: bytes, kind: type[AnswerT]) -> AnswerT:
    """Run one of the server's modules, whose progress is seen; return what it answers.

    Ctrl-C reaches it too: it is of the same terminal. Raises StartupError when it fails.
    """
    command = [sys.executable, "-m", module, *flags]
    ended = subprocess.run(command, input=question, stdout=subprocess.PIPE, check=False)
    if ended.returncode == 130:
        raise KeyboardInterrupt
    if ended.returncode:
        raise StartupError(f"it cannot be planned: {module} ended with code {ended.returncode}")
    return msgspec.json.decode(ended.stdout, type=kind)
