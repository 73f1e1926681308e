"""Processes on hosts of their own: each listens on every interface and is found by its name."""

import os
from pathlib import Path

import pytest

from antiphon_proto import curve
from antiphon_proto.addresses import Address, process_names, tcp_address
from antiphon_proto.bus import open_bus
from antiphon_proto.config import Config, load
from antiphon_proto.errors import ConfigurationError, StartupError

NAMED = "tcp://{name}.antiphon.example:7400"


def settings(tmp_path: Path, *more: str) -> Config:
    flags = (
        f"bus.runtime_dir={tmp_path / 'run'}",
        f"bus.address={NAMED}",
        f"bus.key_dir={tmp_path / 'keys'}",
        "bus.listen_host=127.0.0.1",
        "bus.dispatcher=process",
        "gateway.processes=2",
        *more,
    )
    return load(environment={}, settings=flags)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = settings(tmp_path)
    for name in process_names(made):
        curve.make(tmp_path / "keys", name)
    return made


def test_a_process_is_found_by_its_name_and_binds_what_it_should(config: Config) -> None:
    with open_bus(config, "gateway-1") as bus:
        assert bus.endpoint("gateway-1.results") == "tcp://127.0.0.1:7405"
        assert bus.endpoint("dispatcher.requests") == "tcp://dispatcher.antiphon.example:7402"
    with open_bus(config, "dispatcher") as bus:
        assert bus.endpoint("dispatcher.status") == "tcp://127.0.0.1:7400"
        assert bus.endpoint("gateway-1.notices") == "tcp://gateway-1.antiphon.example:7406"
    with open_bus(config, "stt-0") as bus:
        assert bus.endpoint("gateway-0.results") == "tcp://gateway-0.antiphon.example:7403"
        assert bus.endpoint("stt-0.0.jobs") == "tcp://127.0.0.1:*"


def test_a_name_that_nobody_knows_yet_is_no_error(config: Config) -> None:
    with open_bus(config, "stt-0") as bus:
        sender = bus.push(bus.endpoint("dispatcher.status"), hwm=10)
        sender.connect()
        assert not sender.send((b"hello", b""))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("tcp://{name}:7400", "{name}"),
        ("tcp://{name}.voice.svc:7400", "{name}.voice.svc"),
        ("tcp://10.0.0.1:7400", "10.0.0.1"),
    ],
)
def test_an_address_may_begin_with_the_name(tmp_path: Path, address: str, host: str) -> None:
    read = tcp_address(settings(tmp_path, f"bus.address={address}"))
    assert read == Address(host, 7400, "127.0.0.1")


@pytest.mark.parametrize(
    "address",
    ["tcp://a.{name}:7400", "tcp://{NAME}.x:7400", "tcp://:7400", "tcp://{name}x{name}:1"],
)
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError, match="not tcp://HOST:PORT"):
        tcp_address(settings(tmp_path, f"bus.address={address}"))


@pytest.mark.parametrize(
    "flags",
    [
        ["bus.address=tcp://{name}:7400"],
        ["bus.address=tcp://127.0.0.1:7400", "bus.listen_host=0.0.0.0"],
    ],
)
def test_names_and_every_interface_need_keys(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="antiphon keys make"):
        tcp_address(settings(tmp_path, "bus.key_dir=", *flags))


def test_the_own_pair_may_be_elsewhere(config: Config, tmp_path: Path) -> None:
    secret = (tmp_path / "keys" / "stt-0.key_secret").rename(tmp_path / "mine")
    with pytest.raises(StartupError, match=r"stt-0\.key_secret is missing"):
        open_bus(config, "stt-0")
    with open_bus(settings(tmp_path, f"bus.key_file={secret}"), "stt-0"):
        pass


@pytest.mark.parametrize(
    ("mode", "owner_id", "own_id", "accepted"),
    [
        (0o600, 1000, 1000, True),
        (0o640, 1000, 1000, False),
        (0o440, 0, 1000, True),
        (0o640, 0, 1000, True),
        (0o460, 0, 1000, False),
        (0o444, 0, 1000, False),
        (0o440, 1001, 1000, False),
        (0o440, 0, 0, False),
        (0o400, 0, 0, True),
    ],
)
def test_a_mounted_secret_may_be_read_by_its_group(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    owner_id: int,
    own_id: int,
    accepted: bool,
) -> None:
    curve.make(tmp_path, "stt-0")
    path = tmp_path / "stt-0.key_secret"
    real, wanted = path.stat(), os.stat_result((0o100000 | mode, 0, 0, 1, owner_id, 0, 9, 0, 0, 0))

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        return wanted if self == path else real

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(os, "getuid", lambda: own_id)
    if accepted:
        assert curve.Keys(tmp_path, "stt-0", lambda *_: True).own.public
    else:
        with pytest.raises(StartupError, match="can be read by others"):
            curve.Keys(tmp_path, "stt-0", lambda *_: True)
