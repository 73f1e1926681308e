"""Whether the machine has room for work that may prove void. Pure."""

from collections.abc import Iterable

from antiphon_gateway.dispatch.load import StageLoad


def has_room(loads: Iterable[StageLoad], most_wait_ms: int) -> bool:
    """Tell whether no job waits for a worker for longer than `most_wait_ms`, at any stage.

    A turn that is over gets its answer in any case; one that is not would have delayed the others.
    """
    return all(load.oldest_wait_ms <= most_wait_ms for load in loads)
