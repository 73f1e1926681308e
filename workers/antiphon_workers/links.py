"""A worker's channels: its own job socket, the hub's status and control, gateways' results."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from antiphon_proto import codec
from antiphon_proto.channel import Bus, Sender
from antiphon_proto.messages import Status

HEARTBEAT_MS = 250
"""Between two status messages of a worker, loading or loaded."""
RESULTS_HWM = 64
STATUS_HWM = 1_000
CONTROL_HWM = 1_000


class Links:
    """The sockets of one worker incarnation."""

    def __init__(
        self, bus: Bus, hub: str, gateways: Sequence[str], worker_id: str, slots: int
    ) -> None:
        """Open all. `hub` is the dispatcher, in a gateway or not; `gateways` get the results."""
        self.worker_id = worker_id
        self.load_ms = 0
        """How long it took to load the engine."""
        self.incarnation = secrets.token_hex(4)
        self.jobs = bus.pull(bus.endpoint(f"{worker_id}.{self.incarnation}.jobs"), hwm=slots + 1)
        self.endpoint = self.jobs.endpoint
        self.control = bus.subscribe(bus.endpoint(f"{hub}.control"), hwm=CONTROL_HWM)
        self.status = bus.push(bus.endpoint(f"{hub}.status"), hwm=STATUS_HWM)
        self.status.connect()
        self.results: dict[str, Sender] = {}
        for gateway in gateways:
            self.results[gateway] = bus.push(bus.endpoint(f"{gateway}.results"), hwm=RESULTS_HWM)
            self.results[gateway].connect()

    def report(self, status: Status) -> bool:
        """Send a status message. False: the hub is not there; the next heartbeat tells it."""
        return self.status.send(codec.encode(status))


def remove_socket(endpoint: str) -> None:
    """Remove the file of an ipc endpoint that was closed; libzmq leaves it behind."""
    if endpoint.startswith("ipc://"):
        Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def remove_stale_sockets(runtime_dir: Path, worker_id: str) -> None:
    """Remove the job sockets that killed incarnations of this worker left behind."""
    for socket in runtime_dir.glob(f"{worker_id}.*.jobs"):
        socket.unlink(missing_ok=True)
