"""From the configuration to programs, the Procfile and supervisord's configuration."""

import configparser
from pathlib import Path

from antiphon import topology
from antiphon_proto.config import Config, load

ROOT = Path(__file__).parents[2]
DIRECTORY = Path("/run/100% antiphon")


def rendered(config: Config) -> configparser.ConfigParser:
    text = topology.supervisord(config, DIRECTORY, Path("/venv/bin"), DIRECTORY / "settings.toml")
    parsed = configparser.RawConfigParser()
    parsed.read_string(text)
    return parsed


def test_the_procfile_is_what_the_default_configuration_asks_for() -> None:
    assert (ROOT / "Procfile").read_text() == topology.procfile(Config())


def test_copies_are_numbered_by_their_index() -> None:
    config = load(environment={}, settings=["stt.processes=2"])
    names = [copy for program in topology.programs(config) for copy in program.copies]
    assert names == ["gateway", "stt-0", "stt-1", "llm-0", "tts-0"]
    program = rendered(config)["program:stt"]
    assert program["numprocs"] == "2"
    assert program["command"].endswith(" --index %(process_num)d")


def test_several_gateways_come_with_a_dispatcher() -> None:
    config = load(environment={}, settings=["gateway.processes=2", "bus.dispatcher=process"])
    names = [copy for program in topology.programs(config) for copy in program.copies]
    assert names == ["gateway-0", "gateway-1", "dispatcher", "stt-0", "llm-0", "tts-0"]
    first, second = topology.stop_order(config)
    assert first.copies == ("gateway-0", "gateway-1")
    assert "dispatcher" in second.copies
    parsed = rendered(config)
    assert parsed["program:gateway"]["command"].endswith(" --index %(process_num)d")
    assert parsed["program:dispatcher"]["command"].startswith("/venv/bin/antiphon-dispatcher ")
    assert "dispatcher" in parsed["group:workers"]["programs"].split(",")


def test_a_program_is_started_again_for_ever_and_stopped_with_its_children() -> None:
    parsed = rendered(Config())
    for name in ("gateway", "stt", "llm", "tts"):
        program = parsed[f"program:{name}"]
        assert program["autorestart"] == "true"
        assert program["startsecs"] == "0"
        assert int(program["startretries"]) >= 1_000_000
        assert program["stopasgroup"] == program["killasgroup"] == "true"
        assert int(program["stdout_logfile_maxbytes"]) > 0


def test_the_gateway_stops_first_and_has_time_to_let_turns_finish() -> None:
    config = load(environment={}, settings=["gateway.drain_s=30"])
    parsed = rendered(config)
    assert parsed["group:front"]["programs"] == "gateway"
    assert set(parsed["group:workers"]["programs"].split(",")) == {"stt", "llm", "tts"}
    assert int(parsed["group:front"]["priority"]) > int(parsed["group:workers"]["priority"])
    assert int(parsed["program:gateway"]["stopwaitsecs"]) > 30
    assert topology.stop_wait_s(config) > 30 + topology.WORKER_STOP_WAIT_S


def test_supervisord_listens_on_a_private_socket_only() -> None:
    parsed = rendered(Config())
    assert parsed["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in parsed.sections()


def test_percent_signs_and_spaces_in_paths_survive() -> None:
    parsed = rendered(Config())
    assert parsed["unix_http_server"]["file"] == "/run/100%% antiphon/supervisor.sock"
    command = parsed["program:gateway"]["command"]
    assert command == ("/venv/bin/antiphon-gateway --config '/run/100%% antiphon/settings.toml'")
