"""A worker's channels: its own job socket and the gateway's results, status and control."""

import secrets
from pathlib import Path

from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.messages import Status

HEARTBEAT_MS = 250
"""Between two status messages of a worker, loading or loaded."""
RESULTS_HWM = 64
STATUS_HWM = 1_000
CONTROL_HWM = 1_000


class Links:
    """The sockets of one worker incarnation."""

    def __init__(self, bus: Bus, gateway: str, worker_id: str, slots: int) -> None:
        """Open all four. `gateway` is the name of the gateway that this worker serves."""
        self.gateway = gateway
        self.worker_id = worker_id
        self.incarnation = secrets.token_hex(4)
        self.endpoint = bus.endpoint(f"{worker_id}.{self.incarnation}.jobs")
        self.jobs = bus.pull(self.endpoint, hwm=slots + 1)
        self.control = bus.subscribe(bus.endpoint(f"{gateway}.control"), hwm=CONTROL_HWM)
        self.results = bus.push(bus.endpoint(f"{gateway}.results"), hwm=RESULTS_HWM)
        self.status = bus.push(bus.endpoint(f"{gateway}.status"), hwm=STATUS_HWM)
        self.results.connect()
        self.status.connect()

    def report(self, status: Status) -> bool:
        """Send a status message. False: the gateway is not there; the next heartbeat tells it."""
        return self.status.send(codec.encode(status))


def remove_socket(endpoint: str) -> None:
    """Remove the file of an ipc endpoint that was closed; libzmq leaves it behind."""
    Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def remove_stale_sockets(runtime_dir: Path, worker_id: str) -> None:
    """Remove the job sockets that killed incarnations of this worker left behind."""
    for socket in runtime_dir.glob(f"{worker_id}.*.jobs"):
        socket.unlink(missing_ok=True)
