"""Hosts on one machine: Linux network namespaces, joined by a bridge. Needs root."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from system import Answer, System, ask

DOMAIN = "antiphon.test"
_NETWORK = "10.213.77"
_ETC = Path("/etc/netns")


def why_not() -> str:
    """Return why there can be no hosts here; empty when there can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and the command ip"
    probe = f"antiphon-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return "" if made.returncode == 0 else "this kernel lets nobody make network namespaces"


class Hosts(System):
    """A server whose processes are spread over hosts; every process is found by its own name.

    The test itself is on one more host, the bridge, which reaches all others.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, object], places: Mapping[str, int]
    ) -> None:
        """`places` says on which host, from 1 on, each process runs."""
        super().__init__(directory, settings)
        self.places = places
        self._tag = f"ap{os.getpid() % 100_000}"
        self._headers = {"Authorization": f"Bearer {settings['gateway.api_keys']}"}

    @property
    def headers(self) -> dict[str, str]:
        """What a client presents."""
        return dict(self._headers)

    @property
    def realtime_url(self) -> str:
        """Where the sessions are."""
        return f"ws://{self.address('gateway')}:{self.port}/v1/realtime"

    def address(self, name: str) -> str:
        """Return the address of the host of a process."""
        return f"{_NETWORK}.{self.places[name]}"

    def raise_hosts(self) -> None:
        """Make the bridge, the hosts and their links."""
        _ip("link", "add", self._tag, "type", "bridge")
        _ip("address", "add", f"{_NETWORK}.254/24", "dev", self._tag)
        _ip("link", "set", self._tag, "up")
        lines = ["127.0.0.1 localhost"]
        for name in self.places:
            known_as = f"{name}-0" if name == "gateway" else name
            lines.append(f"{self.address(name)} {known_as}.{DOMAIN}")
        for host in sorted(set(self.places.values())):
            space, link = self._space(host), self._link(host)
            _ip("netns", "add", space)
            # `ip netns exec` shows these files in the place of those in /etc.
            (_ETC / space).mkdir(parents=True)
            (_ETC / space / "hosts").write_text("\n".join(lines) + "\n")
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", link, "master", self._tag, "up")
            _ip("-n", space, "address", "add", f"{_NETWORK}.{host}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "link", "set", "eth0", "up")

    def remove_hosts(self) -> None:
        """Remove what `raise_hosts` made."""
        for host in sorted(set(self.places.values())):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", self._space(host))
            shutil.rmtree(_ETC / self._space(host), ignore_errors=True)
        with contextlib.suppress(OSError):
            _ETC.rmdir()
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._tag)

    def cut(self, host: int) -> None:
        """Pull a host's cable: no packet and no word of it reaches the others."""
        _ip("link", "set", self._link(host), "down")

    def mend(self, host: int) -> None:
        """Put the cable back."""
        _ip("link", "set", self._link(host), "up")

    def start(self, *names: str) -> None:
        """Start processes, each on its host."""
        for name in names:
            self.through = ["ip", "netns", "exec", self._space(self.places[name])]
            super().start(name)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, port: int | None = None
    ) -> Answer | None:
        """Return the answer to a GET with the key; None when nobody listens."""
        place = (self.address("gateway"), port or self.port)
        return ask(place, path, self._headers | dict(headers or {}))

    def listening_ports(self, name: str) -> list[int]:
        """Return the tcp ports that are listened on where a process runs."""
        lines = Path(f"/proc/{self.pid(name)}/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sorted(int(entry[1].partition(":")[2], 16) for entry in fields if entry[3] == "0A")

    def _space(self, host: int) -> str:
        return f"{self._tag}-h{host}"

    def _link(self, host: int) -> str:
        return f"{self._tag}h{host}"


@contextlib.contextmanager
def hosts(settings: Mapping[str, object], places: Mapping[str, int]) -> Iterator[Hosts]:
    """Give hosts on which nothing runs yet; stop what was started, and remove them."""
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    server = Hosts(directory, settings, places)
    try:
        server.raise_hosts()
        yield server
    finally:
        for host in set(places.values()):
            with contextlib.suppress(subprocess.CalledProcessError):
                server.mend(host)
        server.stop()
        server.remove_hosts()
        shutil.rmtree(directory, ignore_errors=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
