"""From the configuration to programs, the Procfile and supervisord's configuration."""

import configparser
from pathlib import Path

from honcho.environ import parse_procfile

from antiphon import programs, rendered
from antiphon.placement import Deployment, Group, placed, unpinned
from antiphon_proto.config import Config, load
from antiphon_proto.gpus import Gpu

ROOT = Path(__file__).parents[2]
DIRECTORY = Path("/run/100% antiphon")
FLAGS = ("--config", str(DIRECTORY / "settings.toml"))
TWO_CARDS = placed(
    Deployment(
        groups=(
            Group(
                stage="stt",
                gpus=(0, 1),
                slots=16,
                gpu_memory_mib=3000,
                settings={"device": "cuda", "model": "small.en"},
            ),
            Group(stage="llm", gpus=(1,), gpu_memory_mib=9000),
            Group(stage="tts", processes=2),
        ),
        gpus=(Gpu(0, "GPU-a", "A10", 23028), Gpu(1, "GPU-b", "A10", 23028)),
        pinned=True,
    )
)


def parsed(config: Config, deployment: Deployment | None = None) -> configparser.RawConfigParser:
    deployment = deployment or unpinned(config)
    text = rendered.supervisord(config, deployment, DIRECTORY, Path("/venv/bin"), FLAGS)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def names(config: Config) -> list[str]:
    return [program.name for program in programs.programs(config, unpinned(config))]


def test_the_procfile_is_what_the_default_configuration_asks_for() -> None:
    config = Config()
    assert (ROOT / "Procfile").read_text() == rendered.procfile(config, unpinned(config))


def test_copies_are_numbered_by_their_index() -> None:
    config = load(environment={}, settings=["stt.processes=2"])
    assert names(config) == ["gateway", "stt-0", "stt-1", "llm-0", "tts-0"]
    assert parsed(config)["program:stt-1"]["command"].startswith(
        "/venv/bin/antiphon-worker stt --index 1 "
    )


def test_a_voice_on_a_card_is_told_how_much_of_it_is_its_own() -> None:
    voice = Group(stage="tts", gpus=(0,), slots=2, gpu_memory_mib=4_000)
    deployment = placed(Deployment(groups=(Group(stage="llm"), voice), pinned=True))
    told = {worker.name: deployment.settings(worker) for worker in deployment.workers}
    assert told == {"llm-0": (), "tts-0": ("tts.slots=2", "tts.gpu_memory_mib=4000")}


def test_several_gateways_come_with_a_dispatcher() -> None:
    config = load(environment={}, settings=["gateway.processes=2", "bus.dispatcher=process"])
    assert names(config) == ["gateway-0", "gateway-1", "dispatcher", "stt-0", "llm-0", "tts-0"]
    file = parsed(config)
    assert " --index 1 " in file["program:gateway-1"]["command"]
    assert file["program:dispatcher"]["command"].startswith("/venv/bin/antiphon-dispatcher ")


def test_each_worker_sees_its_own_card_and_no_other() -> None:
    found = {
        program.name: program.environment["CUDA_VISIBLE_DEVICES"]
        for program in programs.workers(TWO_CARDS)
    }
    assert found == {"stt-0": "0", "stt-1": "1", "llm-0": "1", "tts-0": "", "tts-1": ""}
    file = parsed(Config(), TWO_CARDS)
    assert file["program:stt-1"]["environment"] == (
        'CUDA_DEVICE_ORDER="PCI_BUS_ID",CUDA_VISIBLE_DEVICES="1"'
    )
    assert "environment" not in file["program:gateway"]


def test_without_a_topology_no_worker_is_kept_from_any_card() -> None:
    assert not any(program.environment for program in programs.workers(unpinned(Config())))


def test_the_settings_of_a_group_win_over_those_of_all() -> None:
    (worker,) = [p for p in programs.workers(TWO_CARDS) if p.name == "stt-1"]
    line = worker.line(("--set", "stt.slots=2"))
    assert line[-8:] == (
        *("--set", "stt.slots=2", "--set", "stt.device=cuda", "--set", "stt.model=small.en"),
        *("--set", "stt.slots=16"),
    )


def test_a_procfile_of_two_cards_is_read_by_honcho_as_it_is_meant() -> None:
    text = rendered.procfile(Config(), TWO_CARDS, ("--config=/etc/my files/antiphon.toml",))
    found = parse_procfile(text).processes
    assert list(found) == ["gateway", "stt-0", "stt-1", "llm-0", "tts-0", "tts-1"]
    assert found["llm-0"] == (
        "CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1 antiphon-worker llm --index 0 "
        "'--config=/etc/my files/antiphon.toml'"
    )
    assert "CUDA_VISIBLE_DEVICES='' antiphon-worker tts --index 1" in found["tts-1"]


def test_a_program_is_started_again_for_ever_and_stopped_with_its_children() -> None:
    file = parsed(Config())
    for name in ("gateway", "stt-0", "llm-0", "tts-0"):
        program = file[f"program:{name}"]
        assert program["autorestart"] == "true"
        assert program["startsecs"] == "0"
        assert int(program["startretries"]) >= 1_000_000
        assert program["stopasgroup"] == program["killasgroup"] == "true"
        assert int(program["stdout_logfile_maxbytes"]) > 0


def test_the_gateway_stops_first_and_has_time_to_let_turns_finish() -> None:
    config = load(environment={}, settings=["gateway.drain_s=30"])
    file = parsed(config)
    priorities = {name: int(file[f"program:{name}"]["priority"]) for name in names(config)}
    assert priorities.pop("gateway") > max(priorities.values())
    assert len(set(priorities.values())) == 1
    assert int(file["program:gateway"]["stopwaitsecs"]) > 30
    assert programs.stop_wait_s(config) > 30 + programs.WORKER_STOP_WAIT_S


def test_supervisord_listens_on_a_private_socket_only() -> None:
    file = parsed(Config())
    assert file["unix_http_server"]["chmod"] == "0700"
    assert "inet_http_server" not in file.sections()


def test_percent_signs_and_spaces_in_paths_survive() -> None:
    file = parsed(Config())
    assert file["unix_http_server"]["file"] == "/run/100%% antiphon/supervisor.sock"
    command = file["program:gateway"]["command"]
    assert command == ("/venv/bin/antiphon-gateway --config '/run/100%% antiphon/settings.toml'")
