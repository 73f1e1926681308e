"""Task groups whose single failure reads like the failure itself."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def single_failure_unwrapped() -> Iterator[None]:
    """Raise the only exception of an exception group instead of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        raise group.exceptions[0] from group.exceptions[0].__cause__
