"""What a process cannot start for, out of the task groups that it was found in."""

from collections.abc import Iterator
from contextlib import contextmanager

from antiphon_proto.errors import StartupError


@contextmanager
def startup_errors() -> Iterator[None]:
    """Raise the first StartupError of a group that holds nothing else."""
    try:
        yield
    except BaseExceptionGroup as group:
        startup, others = group.split(StartupError)
        if startup is None or others is not None:
            raise
        raise _first(startup) from None


def _first(group: BaseExceptionGroup[StartupError]) -> StartupError:
    first = group.exceptions[0]
    return first if isinstance(first, StartupError) else _first(first)
