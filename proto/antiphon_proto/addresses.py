"""Where the channels between processes are: files in a directory, or ports of a host. Pure."""

import ipaddress
import re
from typing import NamedTuple

from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import STAGES
from antiphon_proto.settings import Config

_TCP = re.compile(r"tcp://(?P<host>(\{name\})?[A-Za-z0-9.-]*):(?P<port>\d{1,5})")
_HUB_CHANNELS = ("status", "control", "requests")
_GATEWAY_CHANNELS = ("results", "notices")


class Address(NamedTuple):
    """Where gateways and dispatcher listen for workers."""

    host: str
    """Name or address; `{name}` in it stands for the name of the process that listens."""
    port: int
    listen_host: str
    """What the one that listens binds."""


def tcp_address(config: Config) -> Address | None:
    """Return where they listen, None where they use files.

    Raises ConfigurationError when the address is none, or others can reach it without keys.
    """
    bus = config.bus
    if not bus.address:
        return None
    found = _TCP.fullmatch(bus.address)
    if not found or not found["host"]:
        raise ConfigurationError(f"bus.address is {bus.address!r}, not tcp://HOST:PORT")
    host = found["host"]
    address = Address(host, int(found["port"]), bus.listen_host or host)
    last = max(ports(config, address.port).values())
    if not address.port >= 1 or last > 65_535:
        raise ConfigurationError(
            f"bus.address is {bus.address}, whose ports would go up to {last}; the limit is 65535"
        )
    for setting in ("address", "listen_host", "worker_host"):
        where = address.host if setting == "address" else getattr(bus, setting)
        if where and not bus.key_dir and not is_loopback(where):
            raise ConfigurationError(
                f"bus.{setting} is {getattr(bus, setting)}, which others can reach, and "
                "bus.key_dir is empty: anybody could send jobs; set bus.key_dir and run: "
                "antiphon keys make"
            )
    return address


def ports(config: Config, first: int) -> dict[str, int]:
    """Return the port of every channel that gateways and dispatcher listen on."""
    names = [f"{config.hub}.{channel}" for channel in _HUB_CHANNELS]
    names += [f"{name}.{channel}" for name in config.gateways for channel in _GATEWAY_CHANNELS]
    return {name: first + place for place, name in enumerate(names)}


def may_connect(config: Config, channel: str, name: str) -> bool:
    """Whether the process of this name has any business on a channel that it does not bind."""
    if channel in ("results", "status", "control"):
        return name.rpartition("-")[0] in STAGES
    if channel == "requests":
        return name in config.gateways
    return channel in ("jobs", "notices") and name == config.hub


def process_names(config: Config) -> tuple[str, ...]:
    """Return the names of all processes that have a key."""
    workers = (
        f"{stage}-{index}" for stage in STAGES for index in range(config.stage(stage).processes)
    )
    return tuple(dict.fromkeys((config.hub, *config.gateways, *workers)))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a host name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
