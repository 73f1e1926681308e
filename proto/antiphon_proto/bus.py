"""The bus of a process, as the configuration says: files, or tcp with keys."""

from functools import partial
from pathlib import Path

from antiphon_proto import addresses
from antiphon_proto.channel import Bus, Network
from antiphon_proto.curve import Keys
from antiphon_proto.settings import Config


def open_bus(config: Config, name: str) -> Bus:
    """Return the bus of the process of this name, such as `gateway-0` or `stt-1`.

    Raises ConfigurationError when strangers could connect, StartupError when a key is missing.
    """
    address = addresses.tcp_address(config)
    if address is None:
        return Bus(config.bus.directory)
    network = Network(
        name,
        address.host,
        address.listen_host.replace("{name}", name),
        addresses.ports(config, address.port),
        config.bus.worker_host,
    )
    keys = None
    if config.bus.key_dir:
        directory = Path(config.bus.key_dir).expanduser()
        own = Path(config.bus.key_file).expanduser() if config.bus.key_file else None
        keys = Keys(directory, name, partial(addresses.may_connect, config), own)
    return Bus(config.bus.directory, network, keys)
