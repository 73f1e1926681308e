"""What the kernel keeps of a process and gives to it: no dumps of its memory. Linux and macOS."""

import contextlib
import resource
from pathlib import Path

_DUMPED_MEMORY = Path("/proc/self/coredump_filter")


def forbid_core_dumps() -> None:
    """Have a crash leave no file of this process's memory, which holds speech, words and keys.

    Children inherit it. The limit alone does not bind a system that pipes dumps to a program
    (core(5)); Linux therefore writes none of the memory into them either. Only the soft limit is
    lowered: whoever debugs may raise it again (`prlimit --core`, and 0x33 in coredump_filter).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    with contextlib.suppress(OSError):  # macOS, or a kernel without it
        _DUMPED_MEMORY.write_text("0", encoding="ascii")
