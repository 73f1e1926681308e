"""What a worker asks of the system: to end with its parent, and threads that wait asleep."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent_pid: int = 0) -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere nothing happens).

    `parent_pid` is the parent's own word for who it is; 0 takes whoever is the parent now. The
    kernel says nothing about a parent that died before the request, hence the comparison after it.
    """
    if sys.platform != "linux":
        return
    expected = parent_pid or os.getppid()
    # SIGKILL also ends a worker that hangs; its jobs are re-issued as for any killed worker.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)


def wait_asleep() -> None:
    """Have OpenMP threads sleep while they wait, and numpy use one. Call before they are imported.

    They spin by default. With more busy threads than cores, which is the rule where several workers
    share a machine, a spinning thread keeps the one it waits for off the core: measured with two
    busy neighbours on two cores, llama.cpp generated three times slower.
    """
    os.putenv("OMP_WAIT_POLICY", "passive")
    # OpenBLAS has threads of its own, which spin: a spectrogram of 4 s costs 1 ms of CPU without
    # them, 14 ms with two.
    os.putenv("OPENBLAS_NUM_THREADS", "1")
