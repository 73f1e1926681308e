"""One job connection per worker incarnation, each watched by a task."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from antiphon_gateway.dispatch.actions import Connect
from antiphon_proto.channel import Bus, PeerEvent, Sender

LinkChanged = Callable[[str, str, PeerEvent], None]


@dataclass(slots=True)
class _Link:
    incarnation: str
    sender: Sender
    task: asyncio.Task[None]


class Links:
    """The open job connections, by worker id."""

    def __init__(self, bus: Bus, group: asyncio.TaskGroup, changed: LinkChanged) -> None:
        """Watch connections in tasks of `group`; call `changed(worker_id, incarnation, event)`."""
        self._bus = bus
        self._group = group
        self._changed = changed
        self._links: dict[str, _Link] = {}

    def open(self, connect: Connect) -> None:
        """Connect to a worker, in place of an earlier connection of that name."""
        self.close(connect.worker_id)
        sender = self._bus.push(connect.endpoint, hwm=connect.slots + 1, owner=connect.worker_id)
        task = self._group.create_task(
            self._watch(connect, sender), name=f"link-{connect.worker_id}"
        )
        # Not in the task itself: one cancelled before its first step runs no `finally`.
        task.add_done_callback(lambda _: sender.close())
        self._links[connect.worker_id] = _Link(connect.incarnation, sender, task)

    def send(self, worker_id: str, incarnation: str, frames: tuple[bytes, bytes]) -> bool:
        """Send one message. False: no such connection, no peer, or the pipe is full."""
        link = self._links.get(worker_id)
        if link is None or link.incarnation != incarnation or link.sender.closed:
            return False
        return link.sender.send(frames)

    def close(self, worker_id: str) -> None:
        """Close a connection; the socket goes when its task has ended."""
        if link := self._links.pop(worker_id, None):
            link.task.cancel()

    async def _watch(self, connect: Connect, sender: Sender) -> None:
        async with aclosing(sender.watch()) as events:  # type: ignore[type-var]
            sender.connect()
            async for event in events:
                self._changed(connect.worker_id, connect.incarnation, event)
