"""The file that says what runs where: what is refused, with which words; which seat is next."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from antiphon import topology_file
from antiphon.placement import Deployment, scaled
from antiphon_proto import gpus
from antiphon_proto.config import load
from antiphon_proto.errors import ConfigurationError

TWO_CARDS = """\
0, GPU-5e3a0e0f-6a0c-2f8b-1d55-0c7f3b1f9e21, NVIDIA A10, 23028, 4, 0
1, GPU-9d1c7f0a-43d2-8c61-77aa-f1f2a6c0b9e3, NVIDIA A10, 23028, 11894, 37
"""
UNIFIED = "0, GPU-7c9d2b1e-0a44-4f6e-9b3d-2d8a5f1c6e70, NVIDIA GB10, [N/A], [N/A], 0\n"
BOTH = '[[workers]]\nstage = "llm"\n[[workers]]\nstage = "tts"\n'
STT = '[[workers]]\nstage = "stt"\n'
ON_CARD = f'{STT}gpus = [0]\nsettings = {{ device = "cuda" }}\n'

Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    def deployed(text: str, cards: str = TWO_CARDS) -> Deployment:
        file = tmp_path / "topology.toml"
        file.write_text(text)
        config = load(environment={}, settings=[f"supervision.topology={file}"])
        return topology_file.deployed(config, lambda: gpus.parse(cards))

    return deployed


def test_processes_on_each_card_are_numbered_through(deploy: Deploy) -> None:
    text = f"{STT}gpus = [0, 1]\nprocesses = 2\ngpu_memory_mib = 3000\n"
    text += 'settings = { device = "cuda" }\n' + STT + BOTH
    workers = [(worker.name, worker.gpu) for worker in deploy(text).workers]
    assert workers == [
        ("stt-0", 0),
        ("stt-1", 0),
        ("stt-2", 1),
        ("stt-3", 1),
        ("stt-4", None),
        ("llm-0", None),
        ("tts-0", None),
    ]


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        (BOTH, "stage stt has no worker", 'add [[workers]] with stage = "stt"'),
        (STT + "gpu = [0]\n" + BOTH, "workers[0]: there is no gpu", "did you mean gpus?"),
        ("[workers]\n", "workers", "expected array"),
        ('[[worker]]\nstage = "stt"\n', "there is no worker", "[[workers]]"),
        ('[[workers]]\nstage = "sst"\n', "workers[0].stage", "invalid enum value 'sst'"),
        (STT + "processes = 0\n" + BOTH, "workers[0].processes", "expected int >= 1"),
        (STT + "gpus = [2]\n" + BOTH, "stt wants GPU 2", "has GPU 0, 1; choose one of them"),
        (STT + "gpus = [0]\n" + BOTH, "stt.device is cpu", 'settings = { device = "cuda" }'),
        (ON_CARD.replace("[0]", "[0, 0]") + BOTH, "names a card twice", "set processes"),
        (STT + "gpu_memory_mib = 9\n" + BOTH, "gpu_memory_mib without gpus", "name the cards"),
        (
            ON_CARD + "processes = 2\n" + BOTH,
            "GPU 0 is shared by stt-0, stt-1, and nothing says how much of its memory",
            "set gpu_memory_mib",
        ),
        (
            ON_CARD + "processes = 2\ngpu_memory_mib = 12000\n" + BOTH,
            "GPU 0 (NVIDIA A10) has 23028 MiB and is asked for 24000: stt-0 12000, stt-1 12000",
            "lower gpu_memory_mib or processes, or use another card",
        ),
        (STT + "settings = { modell = 1 }\n" + BOTH, "no setting stt.modell", "mean model?"),
        (STT + "settings = { slots = 2 }\n" + BOTH, "settings.slots", "write it as slots = ..."),
        (
            STT + 'settings = { threads = "many" }\n' + BOTH,
            "settings: stt.threads",
            "expected `int`, got `str`",
        ),
        (STT + "processes = 300\n" + BOTH, "302 workers", "with more slots each"),
    ],
)
def test_what_cannot_be_is_refused_with_reason_and_remedy(
    deploy: Deploy, text: str, reason: str, remedy: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        deploy(text)
    assert reason in str(refused.value)
    assert remedy in str(refused.value)


def test_a_file_that_is_not_there_or_no_toml_is_named(tmp_path: Path, deploy: Deploy) -> None:
    with pytest.raises(ConfigurationError, match=r"topology\.toml is not TOML"):
        deploy("[[workers]\n")
    config = load(environment={}, settings=[f"supervision.topology={tmp_path / 'none.toml'}"])
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.toml.*No such file"):
        topology_file.deployed(config)


def test_a_card_that_does_not_tell_its_memory_is_not_summed_up(deploy: Deploy) -> None:
    deployment = deploy(f"{ON_CARD}processes = 3\ngpu_memory_mib = 90000\n{BOTH}", UNIFIED)
    assert deployment.gpus[0].memory_mib is None
    assert len(deployment.on(0)) == 3


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (None, "nvidia-smi is not installed"),
        ("echo No devices were found; exit 6", "failed with code 6: No devices were found"),
        (f"printf '{TWO_CARDS.splitlines()[0]}'", ""),
        ("echo", "nvidia-smi knows no card"),
        ("echo Unable to determine the device handle", "none of its rows"),
    ],
)
def test_cards_are_asked_of_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, problem: str
) -> None:
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    cards = gpus.present()
    assert problem in cards.problem
    assert bool(cards.gpus) == (problem == "")


def test_a_new_worker_takes_the_seat_that_has_fewest_for_what_is_asked(deploy: Deploy) -> None:
    text = f"{ON_CARD}processes = 2\ngpu_memory_mib = 5000\n"
    text += f"{ON_CARD.replace('[0]', '[1]')}gpu_memory_mib = 5000\n{BOTH}"
    deployment = scaled(deploy(text), {"stt": 5})
    assert [(worker.name, worker.gpu) for worker in deployment.of("stt")] == [
        ("stt-0", 0),
        ("stt-1", 0),
        ("stt-2", 1),
        ("stt-3", 0),
        ("stt-4", 1),
    ]


def test_the_highest_indices_go_first_and_come_back_to_their_seats(deploy: Deploy) -> None:
    text = f"{ON_CARD.replace('[0]', '[0, 1]')}gpu_memory_mib = 5000\n{BOTH}"
    deployment = deploy(text)
    one = scaled(deployment, {"stt": 1})
    assert [worker.name for worker in one.of("stt")] == ["stt-0"]
    assert scaled(one, {"stt": 2}).of("stt") == deployment.of("stt")


def test_scaling_beyond_the_memory_of_the_cards_is_refused_with_the_sum(deploy: Deploy) -> None:
    deployment = deploy(f"{ON_CARD}gpu_memory_mib = 9000\n{BOTH}")
    assert len(scaled(deployment, {"stt": 2}).on(0)) == 2
    with pytest.raises(ConfigurationError, match=r"no room for stt-2: .*asked for 27000"):
        scaled(deployment, {"stt": 3})


def test_a_stage_without_workers_and_too_many_workers_are_refused(deploy: Deploy) -> None:
    deployment = deploy(STT + BOTH)
    with pytest.raises(ConfigurationError, match="at least one worker"):
        scaled(deployment, {"llm": 0})
    with pytest.raises(ConfigurationError, match="257 workers"):
        scaled(deployment, {"stt": 255})
