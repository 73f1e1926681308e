"""Task groups whose failure reads like the failure itself."""

import contextlib
from collections.abc import Iterator

from antiphon_proto.errors import AntiphonError


@contextlib.contextmanager
def failure_unwrapped() -> Iterator[None]:
    """Raise the first exception of an exception group instead of the group.

    Only when it is the only one or all are errors raised on purpose: the tasks of one session all
    fail when it is closed.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        first = group.exceptions[0]
        if len(group.exceptions) > 1 and group.split(AntiphonError)[1] is not None:
            raise
        raise first from first.__cause__
