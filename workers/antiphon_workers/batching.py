"""Jobs of many sessions in one pass of a model.

An idle model starts with what there is, after a bounded wait for more. What arrives while it works
is its next pass. So nobody waits for a batch to fill that could have been served at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, NamedTuple, TypeVar

ItemT = TypeVar("ItemT")
OutT = TypeVar("OutT")


class _Waiting(NamedTuple, Generic[ItemT, OutT]):
    item: ItemT
    key: Hashable
    future: "asyncio.Future[OutT]"


class Batcher(Generic[ItemT, OutT]):
    """Collects items into calls of one blocking function. Use on one event loop."""

    def __init__(
        self,
        work: Callable[[Sequence[ItemT]], Sequence[OutT]],
        executor: Executor,
        *,
        most: int,
        wait_ms: float = 0.0,
    ) -> None:
        """`work` gets at most `most` items and returns as many results, in their order.

        An idle model waits `wait_ms` for more items than the first one.
        """
        self._work = work
        self._executor = executor
        self._most = most
        self._wait_s = wait_ms / 1000
        self._waiting: deque[_Waiting[ItemT, OutT]] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self.sizes: deque[int] = deque(maxlen=1_000)
        """Items of the last passes."""

    async def run(self, item: ItemT, key: Hashable = None) -> OutT:
        """Return the result of one item. Only items of equal `key` share a pass.

        Cancelled, it leaves the queue, or the pass, whose other items go on. Raises what `work`
        raises for this item alone.
        """
        loop = asyncio.get_running_loop()
        waiting: _Waiting[ItemT, OutT] = _Waiting(item, key, loop.create_future())
        self._waiting.append(waiting)
        if not self._busy:
            if len(self._waiting) >= self._most or not self._wait_s:
                self._begin()
            elif self._timer is None:
                self._timer = loop.call_later(self._wait_s, self._begin)
        try:
            return await waiting.future
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiting)

    def _begin(self) -> None:
        """Start a pass, unless there is nothing to do."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = self._take()
        if not batch or self._busy:
            return
        self._busy = True
        self.sizes.append(len(batch))
        items = [waiting.item for waiting in batch]
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._outcomes, items)
        future.add_done_callback(lambda done: self._end(batch, done))

    def _take(self) -> list[_Waiting[ItemT, OutT]]:
        """Return the oldest item and those that may share its pass."""
        if not self._waiting or self._busy:
            return []
        key = self._waiting[0].key
        batch = [waiting for waiting in self._waiting if waiting.key == key][: self._most]
        for waiting in batch:
            self._waiting.remove(waiting)
        return batch

    def _outcomes(self, items: list[ItemT]) -> list[OutT | Exception]:
        """Return the result of each item, or what it raises by itself."""
        try:
            return list(self._work(items))
        except Exception as exc:  # noqa: BLE001 - handed to the job that it belongs to
            if len(items) == 1:
                return [exc]
        return [outcome for item in items for outcome in self._outcomes([item])]

    def _end(
        self,
        batch: list[_Waiting[ItemT, OutT]],
        done: "asyncio.Future[list[OutT | Exception]]",
    ) -> None:
        self._busy = False
        if done.cancelled():
            return
        for waiting, outcome in zip(batch, done.result(), strict=True):
            if waiting.future.done():
                continue
            if isinstance(outcome, Exception):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)
        self._begin()
