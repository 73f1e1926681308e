"""Who a worker says it is and where it says it listens, checked against what is known."""

import re

import msgspec

from antiphon_proto.channel import Bus, Message
from antiphon_proto.errors import MalformedMessage, StartupError
from antiphon_proto.messages import Heartbeat, Loading, Status

_JOBS_SOCKET = re.compile(r"[A-Za-z0-9._-]+\.jobs")
_TCP_PORT = re.compile(r"tcp://[^:/]{1,64}:(\d{1,5})")


def announced(status: Status, message: Message, bus: Bus) -> Status:
    """Return a status message with what was checked in place of what was claimed.

    A key belongs to one worker of one stage. Raises MalformedMessage when the sender's key is
    another's, or the job endpoint is nowhere that a worker could listen.
    """
    if message.sender:
        if status.worker_id != message.sender:
            raise MalformedMessage(f"{message.sender} speaks as {status.worker_id[:64]!r}")
        if isinstance(status, Heartbeat | Loading):
            _check_stage(status)
    if not isinstance(status, Heartbeat):
        return status
    if bus.networked:
        return msgspec.structs.replace(status, endpoint=_tcp_endpoint(status, message.sender_host))
    _check_file(status, bus)
    return status


def _check_stage(status: Heartbeat | Loading) -> None:
    if status.worker_id.rpartition("-")[0] != status.stage:
        raise MalformedMessage(f"{status.worker_id} announces itself for {status.stage}")


def _tcp_endpoint(beat: Heartbeat, host: str) -> str:
    """Return the worker's port at the address that it speaks from, whatever host it names."""
    found = _TCP_PORT.fullmatch(beat.endpoint)
    if not found or not 0 < int(found[1]) < 65_536:
        raise MalformedMessage(f"job endpoint {beat.endpoint[:200]!r} is not tcp://HOST:PORT")
    return f"tcp://{f'[{host}]' if ':' in host else host}:{found[1]}"


def _check_file(beat: Heartbeat, bus: Bus) -> None:
    """Raise MalformedMessage unless the job endpoint is an ipc socket in our directory."""
    name = beat.endpoint.rpartition("/")[2]
    try:
        ours = _JOBS_SOCKET.fullmatch(name) and bus.endpoint(name)
    except StartupError as exc:
        raise MalformedMessage(f"job endpoint: {exc}") from exc
    if beat.endpoint != ours:
        raise MalformedMessage(
            f"job endpoint {beat.endpoint[:200]!r} is not an ipc socket NAME.jobs in the "
            "runtime directory"
        )
