"""What a decoder process may still do: read, write, compute. Called once, before the first byte.

Its input comes from strangers and goes through a large C library. So nothing new can be opened (no
file, no socket, no process), memory and processor time are bounded, and root is given up. Linux.
"""

import ctypes
import os
import resource
from pathlib import Path

MEMORY_BYTES = 192 * 1024 * 1024
"""On top of what the program itself takes."""
STALLED_CPU_S = 10
"""Processor time without any audio in return after which the kernel ends the process."""
TOTAL_CPU_S = 3_600

_NOBODY = 65_534
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def confine() -> None:
    """Give up everything but the open files, a bounded heap and bounded time.

    Raises OSError when a limit cannot be set: then nothing may be decoded.
    """
    here = _address_space_bytes()
    _limit(resource.RLIMIT_AS, here + MEMORY_BYTES)
    for nothing in (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_CORE,
        resource.RLIMIT_NPROC,
    ):
        _limit(nothing, 0)
    grant_cpu_time()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def grant_cpu_time() -> None:
    """Allow `STALLED_CPU_S` more processor time from now on. Called whenever audio came out."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = TOTAL_CPU_S if hard == resource.RLIM_INFINITY else min(hard, TOTAL_CPU_S)
    resource.setrlimit(resource.RLIMIT_CPU, (min(used_s + STALLED_CPU_S, most), most))


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (value, value))


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
