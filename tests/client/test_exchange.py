"""One engine for another: what runs after each step, the way back, and what has no room."""

from collections.abc import Sequence

import pytest

from antiphon.exchange import Exchange
from antiphon.placement import Deployment, Group, Worker, placed, scaled
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.gpus import Gpu

OTHERS = (Group(stage="llm"), Group(stage="tts"))
CHANGES = {"engine": "moonshine", "model": "moonshine-tiny-en"}
FLAGS = ("stt.engine=moonshine", "stt.model=moonshine-tiny-en")


def deployed(*groups: Group, gpus: Sequence[Gpu] = ()) -> Deployment:
    return placed(Deployment(groups=(*groups, *OTHERS), gpus=tuple(gpus)))


def engines(deployment: Deployment) -> dict[str, tuple[str, ...]]:
    return {worker.name: deployment.settings(worker) for worker in deployment.of("stt")}


def test_each_step_adds_one_worker_and_takes_one_away() -> None:
    before = deployed(Group(stage="stt", processes=2))
    steps = Exchange(before, "stt", CHANGES).steps()
    assert [engines(step) for step in steps] == [
        {"stt-1": (), "stt-2": FLAGS},
        {"stt-0": FLAGS, "stt-2": FLAGS},
    ]
    for earlier, later in zip((before, *steps), steps, strict=False):
        assert len(set(later.workers) - set(earlier.workers)) == 1
        assert {worker.name for worker in set(later.workers) - set(earlier.workers)}.isdisjoint(
            worker.name for worker in earlier.workers
        )


def test_other_stages_are_left_alone() -> None:
    before = deployed(Group(stage="stt"))
    [step] = Exchange(before, "stt", CHANGES).steps()
    assert step.of("llm") == before.of("llm")
    assert step.of("tts") == before.of("tts")


def test_settings_of_a_group_stay_unless_they_are_changed() -> None:
    before = deployed(
        Group(
            stage="stt",
            settings={"device": "cuda", "model": "tiny.en"},
            slots=3,
            gpus=(1,),
            gpu_memory_mib=9,
        ),
        Group(stage="stt", processes=2),
    )
    *_, last = Exchange(before, "stt", {**CHANGES, "slots": 5}).steps()
    assert sorted(engines(last).values()) == sorted(
        [
            (*FLAGS, "stt.slots=5"),
            (*FLAGS, "stt.slots=5"),
            ("stt.device=cuda", FLAGS[1], FLAGS[0], "stt.slots=5"),
        ]
    )
    assert [worker.gpu for worker in last.workers if worker.gpu is not None] == [1]


def test_a_list_of_voices_is_one_setting() -> None:
    before = deployed(Group(stage="stt"))
    [step] = Exchange(before, "tts", {"voices": ("anna", "ben")}).steps()
    [worker] = step.of("tts")
    assert step.settings(worker) == ("tts.voices=anna,ben",)


def test_the_way_back_ends_with_the_settings_of_before() -> None:
    before = deployed(Group(stage="stt", processes=3))
    exchange = Exchange(before, "stt", CHANGES)
    steps = exchange.steps()
    for reached in (before, *steps):
        for step in (back := exchange.way_back(reached)):
            assert len(step.workers) == len(before.workers)
        last = back[-1] if back else before
        assert set(engines(last).values()) == {()}
        more = scaled(last, {"stt": 4})
        assert set(engines(more).values()) == {()}


def test_new_workers_of_a_stage_run_what_it_was_changed_to() -> None:
    before = deployed(Group(stage="stt", processes=2))
    *_, after = Exchange(before, "stt", CHANGES).steps()
    assert set(engines(scaled(after, {"stt": 4})).values()) == {FLAGS}


def test_changing_again_and_again_keeps_the_groups_few() -> None:
    deployment = deployed(Group(stage="stt", processes=2), Group(stage="stt"))
    for round_ in range(10):
        *_, deployment = Exchange(deployment, "stt", {"model": str(round_)}).steps()
    assert len(deployment.groups) <= 2 * 2 + len(OTHERS)
    assert set(engines(deployment).values()) == {("stt.model=9",)}
    assert {worker.stage for worker in deployment.workers} == {"stt", "llm", "tts"}


def test_what_a_change_left_that_was_broken_off_is_changed_too() -> None:
    before = deployed(Group(stage="stt", processes=3))
    exchange = Exchange(before, "stt", CHANGES)
    first = exchange.steps()[0]
    for left in (first, exchange.way_back(exchange.steps()[1])[0]):
        assert set(engines(left).values()) == {(), FLAGS}
        again = Exchange(left, "stt", {"engine": "third", "model": "third"})
        *_, after = again.steps()
        assert set(engines(after).values()) == {("stt.engine=third", "stt.model=third")}
        assert len({worker.group for worker in after.of("stt")}) == 1
        for reached in again.steps():
            back = again.way_back(reached)
            assert "third" not in str(engines(back[-1]))


def test_a_card_without_room_for_one_more_is_named_with_the_remedy() -> None:
    card = Gpu(index=0, uuid="GPU-1", name="NVIDIA A10", memory_mib=23_028)
    group = Group(stage="stt", gpus=(0,), gpu_memory_mib=12_000)
    with pytest.raises(ConfigurationError, match="no room for stt-1 beside stt-0") as refused:
        Exchange(deployed(group, gpus=[card]), "stt", CHANGES).steps()
    assert "24000" in str(refused.value)
    roomy = deployed(Group(stage="stt", gpus=(0,), gpu_memory_mib=11_000), gpus=[card])
    assert len(Exchange(roomy, "stt", CHANGES).steps()) == 1


def test_the_last_worker_of_the_dispatcher_leaves_no_room_for_another() -> None:
    before = deployed(Group(stage="stt", processes=254))
    with pytest.raises(ConfigurationError, match="257 workers"):
        Exchange(before, "stt", CHANGES).steps()


def test_a_worker_is_found_by_its_group() -> None:
    before = deployed(Group(stage="stt"))
    [step] = Exchange(before, "stt", CHANGES).steps()
    assert step.of("stt") == [Worker("stt", 1, 3)]
    assert step.retired == (0,)
