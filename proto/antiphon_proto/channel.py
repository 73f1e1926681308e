"""ZeroMQ's sockets. Only this file and `curve` import it.

Rules every socket here keeps: options are set before bind or connect; high-water marks are
explicit; LINGER is bounded; a send never waits (a full pipe is an event the caller decides about);
a receive polls and then drains; one socket belongs to one thread.
"""

import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self, TypeVar

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from antiphon_proto.curve import Doorkeeper, Keys
from antiphon_proto.errors import StartupError

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Longer messages drop the connection they came on. 2 MiB is 65 s of 16 kHz PCM16."""

_DRAIN_BATCH = 64
_COPY_THRESHOLD_BYTES = 64 * 1024
_HANDSHAKE_MS = 2_000
_UNIX_PATH_LIMIT_BYTES = 107
_HEARTBEAT_MS = 1_000
_KERNEL_BUFFER_BYTES = 64 * 1024

PeerEvent = Literal["connected", "disconnected"]
EndT = TypeVar("EndT", "Sender", "Receiver")


class Network(NamedTuple):
    """Channels over tcp."""

    own: str
    """The name of this process."""
    host: str
    """Where gateways and dispatcher are; `{name}` in it stands for the name of each."""
    listen_host: str
    """What this process binds if it is one of those."""
    ports: Mapping[str, int]
    """By the name of a channel, such as `gateway-0.results`."""
    worker_host: str
    """Where this process, a worker, listens for jobs."""


class Message(list[bytes]):
    """The frames of a message, and what is known of its sender where channels go over tcp."""

    sender: str = ""
    """Name of the process that it is from, as its key proves; empty: not known."""
    sender_host: str = ""
    """Address of the machine that it is from; empty: this one."""


class Bus:
    """The ZeroMQ context of a process, and where its sockets are."""

    def __init__(
        self, runtime_dir: Path, network: Network | None = None, keys: Keys | None = None
    ) -> None:
        """Prepare `runtime_dir` as a private directory; sockets are there unless on a `network`.

        With `keys` every tcp connection is encrypted and only peers that are known may connect.
        Raises StartupError when the directory cannot be made private or its path is too long.
        """
        self._dir = _private_directory(runtime_dir)
        self._network = network
        self._keys = keys
        self._context = zmq.asyncio.Context()
        self._open: list[Sender | Receiver] = []
        self._names: dict[str, str] = {}
        self._doorkeeper: Doorkeeper | None = None
        if keys is not None:
            self._doorkeeper = Doorkeeper(self._context, keys)
            self._doorkeeper.start()

    @property
    def networked(self) -> bool:
        """Whether channels go over tcp."""
        return self._network is not None

    def endpoint(self, name: str) -> str:
        """Return the endpoint of a channel such as `gateway-0.results`.

        A worker's job channel has any free port: bound, it has its own in `Receiver.endpoint`.
        """
        if self._network is not None:
            network = self._network
            port = network.ports.get(name)
            owner = name.partition(".")[0]
            host = network.listen_host if owner == network.own else network.host
            host = host.replace("{name}", owner)
            place = f"{network.worker_host}:*" if port is None else f"{host}:{port}"
            self._names[f"tcp://{place}"] = name
            return f"tcp://{place}"
        path = str(self._dir / name)
        if len(os.fsencode(path)) > _UNIX_PATH_LIMIT_BYTES:
            raise StartupError(
                f"socket path is {len(path)} bytes, over the limit of {_UNIX_PATH_LIMIT_BYTES}: "
                f"{path}; set bus.runtime_dir to a shorter directory"
            )
        return f"ipc://{path}"

    def push(self, endpoint: str, *, hwm: int, owner: str = "") -> "Sender":
        """Open a PUSH socket. `hwm` counts messages.

        `owner` is the process that binds the endpoint, where `endpoint()` did not give it.
        """
        socket = self._socket(zmq.PUSH, hwm, endpoint, owner)
        return self._keep(Sender(socket, endpoint, bind=False))

    def pull(self, endpoint: str, *, hwm: int) -> "Receiver":
        """Open a PULL socket. `hwm` counts messages."""
        socket = self._socket(zmq.PULL, hwm, endpoint, bind=True)
        return self._keep(Receiver(socket, endpoint, bind=True))

    def publish(self, endpoint: str, *, hwm: int) -> "Sender":
        """Open a PUB socket. What it sends is a hint: a slow or late peer misses it."""
        return self._keep(
            Sender(self._socket(zmq.PUB, hwm, endpoint, bind=True), endpoint, bind=True)
        )

    def subscribe(self, endpoint: str, *, hwm: int) -> "Receiver":
        """Open a SUB socket that receives everything."""
        socket = self._socket(zmq.SUB, hwm, endpoint)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        return self._keep(Receiver(socket, endpoint, bind=False))

    def close(self, linger_ms: int = 0) -> None:
        """Close every socket, giving unsent messages `linger_ms` to leave."""
        for end in self._open:
            end.close(linger_ms)
        if self._doorkeeper is not None:
            self._doorkeeper.stop()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _keep(self, end: EndT) -> EndT:
        self._open = [*(other for other in self._open if not other.closed), end]
        return end

    def _socket(
        self, kind: int, hwm: int, endpoint: str, owner: str = "", *, bind: bool = False
    ) -> "zmq.asyncio.Socket":
        name, _, channel = self._names.get(endpoint, "").rpartition(".")
        secured = self._keys if endpoint.startswith("tcp:") else None
        server = None if bind or secured is None else secured.of(owner or name.partition(".")[0])
        socket = self._context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, hwm)
        socket.setsockopt(zmq.RCVHWM, hwm)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200 if endpoint.startswith("tcp:") else 50)
        if kind == zmq.PUSH:
            # Without IMMEDIATE a dead peer's pipe keeps accepting messages that nobody will read.
            socket.setsockopt(zmq.IMMEDIATE, 1)
        if endpoint.startswith("tcp:"):
            _for_tcp(socket)
        if secured is not None:
            _secure(socket, secured, channel, server)
        return socket


class Sender:
    """The sending end of a channel. Never waits."""

    def __init__(self, socket: "zmq.asyncio.Socket", endpoint: str, *, bind: bool) -> None:
        self._poller = socket
        # The asyncio socket parks sends without bound when full; the plain one says so at once.
        self._socket: zmq.Socket[bytes] = zmq.Socket(socket)
        self._monitor: zmq.asyncio.Socket | None = None
        self.endpoint = endpoint
        self._bind = bind
        if bind:
            _attach(self._socket, endpoint, bind=True)
            self._connected = True
        else:
            self._connected = False

    def connect(self) -> None:
        """Connect, unless this end binds. Call after `watch` to see the first connection too."""
        if not self._connected:
            _attach(self._socket, self.endpoint, bind=False)
            self._connected = True

    def watch(self) -> AsyncIterator[PeerEvent]:
        """Yield when the peer connects and when it is gone. Stop iterating before `close`."""
        monitor = self._poller.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
        )
        self._monitor = monitor
        return _peer_events(monitor)

    def send(self, frames: tuple[bytes, bytes]) -> bool:
        """Send one message. False: no peer, or its high-water mark is reached."""
        copy = len(frames[1]) < _COPY_THRESHOLD_BYTES
        try:
            self._socket.send_multipart(frames, flags=zmq.NOBLOCK, copy=copy)
        except zmq.Again:
            return False
        return True

    def settle(self) -> None:
        """Let go of peers that have left. Call now and then on an end that seldom sends.

        libzmq does so only within a call on the socket; until then it keeps a pipe, 35 kB, of each.
        """
        self._socket.get(zmq.EVENTS)

    async def writable(self, timeout_ms: int) -> bool:
        """Wait until a send can succeed, at most `timeout_ms`."""
        # The stub of `poll` lacks the flags.
        return bool(await self._poller.poll(timeout_ms, zmq.POLLOUT))  # type: ignore[call-arg]

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._poller.closed

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket, giving unsent messages `linger_ms` to leave."""
        if self._monitor is not None:
            self._poller.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None
        self._poller.close(linger=linger_ms)


class Receiver:
    """The receiving end of a channel."""

    def __init__(self, socket: "zmq.asyncio.Socket", endpoint: str, *, bind: bool) -> None:
        self._poller = socket
        self._socket: zmq.Socket[bytes] = zmq.Socket(socket)
        _attach(self._socket, endpoint, bind=bind)
        self.endpoint = endpoint
        if bind and endpoint.endswith(":*"):
            self.endpoint = bytes(self._socket.get(zmq.LAST_ENDPOINT)).decode().rstrip("\0")
        self._read = _read_tcp if endpoint.startswith("tcp:") else _read

    async def receive(self) -> list[Message]:
        """Wait for messages and return those at hand, at most 64, each as its frames."""
        await self._poller.poll()
        return self.at_hand()

    def at_hand(self) -> list[Message]:
        """Return the messages that have arrived, at most 64, without waiting for any."""
        batch: list[Message] = []
        while len(batch) < _DRAIN_BATCH:
            try:
                batch.append(self._read(self._socket))
            except zmq.Again:
                break
        return batch

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._poller.closed

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket. A receiver has nothing unsent; it takes `linger_ms` as senders do."""
        self._poller.close(linger=linger_ms)


async def _peer_events(monitor: "zmq.asyncio.Socket") -> AsyncIterator[PeerEvent]:
    while True:
        event = (await recv_monitor_message(monitor))["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            yield "connected"
        elif event == zmq.EVENT_DISCONNECTED:
            yield "disconnected"
        else:
            return


def _read(socket: "zmq.Socket[bytes]") -> Message:
    return Message(socket.recv_multipart(flags=zmq.NOBLOCK))


def _read_tcp(socket: "zmq.Socket[bytes]") -> Message:
    frames = socket.recv_multipart(flags=zmq.NOBLOCK, copy=False)
    message = Message(frame.bytes for frame in frames)
    message.sender_host = str(frames[0].get("Peer-Address"))
    with suppress(zmq.ZMQError):  # it has no such property without keys
        message.sender = str(frames[0].get("User-Id"))
    return message


def _for_tcp(socket: "zmq.asyncio.Socket") -> None:
    # A peer whose machine is gone says nothing; the kernel would take many minutes to notice.
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3 * _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, 3 * _HEARTBEAT_MS)
    socket.setsockopt(zmq.SNDBUF, _KERNEL_BUFFER_BYTES)
    socket.setsockopt(zmq.RCVBUF, _KERNEL_BUFFER_BYTES)


def _secure(socket: "zmq.asyncio.Socket", keys: Keys, channel: str, server: bytes | None) -> None:
    """Encrypt. `server`: public key of the peer that it connects to; None: it binds `channel`."""
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.own.secret)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.own.public)
    if server is not None:
        socket.setsockopt(zmq.CURVE_SERVERKEY, server)
    else:
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        # Without a domain libzmq asks nobody, and every key may connect.
        socket.setsockopt_string(zmq.ZAP_DOMAIN, channel)


def _attach(socket: "zmq.Socket[bytes]", endpoint: str, *, bind: bool) -> None:
    try:
        socket.bind(endpoint) if bind else socket.connect(endpoint)
    except zmq.ZMQError as exc:
        socket.close(linger=0)
        verb = "bind" if bind else "connect"
        raise StartupError(f"cannot {verb} {endpoint}: {exc.strerror}") from exc


def _private_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as exc:
        raise StartupError(f"cannot create the runtime directory {path}: {exc.strerror}") from exc
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise StartupError(
            f"the runtime directory {path} must belong to this user with mode 0700; "
            "set bus.runtime_dir to another one"
        )
    return path
