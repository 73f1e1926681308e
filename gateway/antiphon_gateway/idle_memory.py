"""Gives the memory that nothing uses any more back to the system."""

import ctypes
import gc
from collections.abc import Callable


def _allocator_trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`; None where the C library has none (macOS, musl)."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None
    return trim


TRIM = _allocator_trim()


def release() -> None:
    """Collect cycles; return free pages, which the allocator keeps wherever something lies above.

    Without it the resident size stays at the most that was ever in use at once, and each new
    coincidence of busy sessions raises it.
    """
    gc.collect()
    if TRIM is not None:
        TRIM(0)
