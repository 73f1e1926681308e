"""Pure: which worker runs on which graphics card."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec

from antiphon_proto.config import Config
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.gpus import Gpu
from antiphon_proto.messages import STAGES, Stage
from antiphon_proto.setting_types import Count

MOST_WORKERS = 256
"""The dispatcher takes no notice of more."""

Value = str | int | float | bool | tuple[str, ...]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workers of one stage that are alike."""

    stage: Stage
    gpus: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """Cards by their nvidia-smi number; none: the processor."""
    processes: Count = 1
    """On each card."""
    slots: Count | None = None
    """Of each process; None: as the stage's setting has it."""
    gpu_memory_mib: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """What each process takes of its card at most; a card that is shared needs it."""
    settings: Mapping[str, Value] = {}
    """Settings of the stage that differ for these workers."""

    @property
    def seats(self) -> tuple[int | None, ...]:
        """Where its processes can run."""
        return self.gpus or (None,)

    @property
    def changes(self) -> dict[str, Value]:
        """The settings of the stage that differ for its workers."""
        return {**self.settings, **({"slots": self.slots} if self.slots else {})}


class Worker(msgspec.Struct, frozen=True):
    """One worker process."""

    stage: Stage
    index: int
    group: int
    """Place of its group."""
    gpu: int | None = None

    @property
    def name(self) -> str:
        """For example `stt-0`."""
        return f"{self.stage}-{self.index}"


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What runs where on this machine."""

    groups: tuple[Group, ...]
    workers: tuple[Worker, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    pinned: bool = False
    """A topology file says where each worker runs; without one it may use whatever it finds."""
    retired: tuple[int, ...] = ()
    """Places of groups that get no worker any more: others have taken theirs."""

    def of(self, stage: Stage) -> list[Worker]:
        """Return the workers of a stage, by index."""
        found = [worker for worker in self.workers if worker.stage == stage]
        return sorted(found, key=lambda worker: worker.index)

    def environment(self, worker: Worker) -> dict[str, str]:
        """Return the variables that keep a worker on its card, or off all of them."""
        if not self.pinned:
            return {}
        # CUDA's own order begins with the fastest card; nvidia-smi's is that of the bus.
        visible = "" if worker.gpu is None else str(worker.gpu)
        return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible}

    def settings(self, worker: Worker) -> tuple[str, ...]:
        """Return what differs for a worker, in the form of `--set`."""
        changes = self.groups[worker.group].changes
        if worker.stage == "tts" and (limit_mib := self.memory_mib(worker)):
            # The one stage with an engine of ours that keeps to it.
            changes["gpu_memory_mib"] = limit_mib
        return tuple(f"{worker.stage}.{key}={setting_text(each)}" for key, each in changes.items())

    def memory_mib(self, worker: Worker) -> int:
        """Return what a worker takes of its card; 0 when that is not said."""
        return self.groups[worker.group].gpu_memory_mib or 0

    def on(self, gpu: int) -> list[Worker]:
        """Return the workers of a card."""
        return [worker for worker in self.workers if worker.gpu == gpu]

    def card(self, index: int) -> Gpu | None:
        """Return the card of this number, None when it is not there."""
        return next((gpu for gpu in self.gpus if gpu.index == index), None)


def unpinned(config: Config) -> Deployment:
    """Return what runs without a topology file: `STAGE.processes` workers of each stage."""
    groups = (Group(stage=stage, processes=config.stage(stage).processes) for stage in STAGES)
    return placed(Deployment(groups=tuple(groups)))


def placed(deployment: Deployment) -> Deployment:
    """Return it with all workers that its groups ask for, numbered in their order."""
    counts = dict.fromkeys(STAGES, 0)
    workers = []
    for place, group in enumerate(deployment.groups):
        for gpu in group.seats:
            for _ in range(group.processes):
                workers.append(Worker(group.stage, counts[group.stage], place, gpu))
                counts[group.stage] += 1
    return msgspec.structs.replace(deployment, workers=tuple(workers))


def scaled(deployment: Deployment, counts: Mapping[Stage, int]) -> Deployment:
    """Return it with so many workers of the stages named; those with the highest index go first.

    A new worker takes the seat that has the fewest for what its group asks, and the lowest free
    index. Raises ConfigurationError when there is no room.
    """
    for stage, count in counts.items():
        if count < 1:
            raise ConfigurationError(
                f"{stage}={count}: a server needs at least one worker of each stage; to stop it: "
                "Ctrl-C in its terminal"
            )
        kept = deployment.of(stage)[:count]
        others = tuple(worker for worker in deployment.workers if worker.stage != stage)
        deployment = msgspec.structs.replace(deployment, workers=(*others, *kept))
        while len(deployment.of(stage)) < count:
            worker = _next(deployment, stage)
            deployment = msgspec.structs.replace(deployment, workers=(*deployment.workers, worker))
    check_count(deployment)
    return deployment


def check_count(deployment: Deployment) -> None:
    """Raise ConfigurationError when there are more workers than the dispatcher knows."""
    if len(deployment.workers) > MOST_WORKERS:
        raise ConfigurationError(
            f"{len(deployment.workers)} workers are asked for, of which the dispatcher knows "
            f"{MOST_WORKERS}; run fewer, with more slots each"
        )


def lowest_free_index(deployment: Deployment, stage: Stage) -> int:
    """Return the lowest index that no worker of a stage has."""
    used = {worker.index for worker in deployment.of(stage)}
    return next(number for number in range(len(used) + 1) if number not in used)


def _next(deployment: Deployment, stage: Stage) -> Worker:
    index = lowest_free_index(deployment, stage)
    seats = [
        Worker(stage, index, place, gpu)
        for place, group in enumerate(deployment.groups)
        if group.stage == stage and place not in deployment.retired
        for gpu in group.seats
    ]
    reasons = {seat: shortage(deployment, seat) for seat in seats}
    free = [seat for seat in seats if not reasons[seat]]
    if not free:
        raise ConfigurationError(
            f"no room for {seats[0].name}: {'; '.join(dict.fromkeys(reasons.values()))}"
        )
    return min(free, key=lambda seat: _taken(deployment, seat))


def _taken(deployment: Deployment, seat: Worker) -> float:
    """Return how many workers of its group run at a seat, for each that the file asks for."""
    there = [w for w in deployment.workers if (w.group, w.gpu) == (seat.group, seat.gpu)]
    return len(there) / deployment.groups[seat.group].processes


def shortage(deployment: Deployment, newcomer: Worker) -> str:
    """Return why a card has no room for one more worker; empty when it has."""
    if newcomer.gpu is None:
        return ""
    return memory_fault(deployment, newcomer.gpu, [*deployment.on(newcomer.gpu), newcomer])


def memory_fault(deployment: Deployment, gpu: int, workers: Sequence[Worker]) -> str:
    """Return why a card is not enough for these workers, and what mends it; empty when it is."""
    silent = [worker.name for worker in workers if not deployment.memory_mib(worker)]
    if silent and len(workers) > 1:
        return (
            f"GPU {gpu} is shared by {_names(workers)}, and nothing says how much of its memory "
            f"{' and '.join(silent)} may take; set gpu_memory_mib"
        )
    card, asked = deployment.card(gpu), sum(map(deployment.memory_mib, workers))
    if card is None or card.memory_mib is None or asked <= card.memory_mib:
        return ""
    parts = ", ".join(f"{worker.name} {deployment.memory_mib(worker)}" for worker in workers)
    return (
        f"GPU {gpu} ({card.name}) has {card.memory_mib} MiB and is asked for {asked}: {parts}; "
        "lower gpu_memory_mib or processes, or use another card"
    )


def used_cards(deployment: Deployment) -> Iterator[int]:
    """Yield the numbers of the cards that workers run on."""
    yield from sorted({worker.gpu for worker in deployment.workers if worker.gpu is not None})


def applied(config: Config, deployment: Deployment) -> Config:
    """Return the configuration with `STAGE.processes` as they are."""
    sections = {
        stage: msgspec.structs.replace(config.stage(stage), processes=len(deployment.of(stage)))
        for stage in STAGES
    }
    return msgspec.structs.replace(config, **sections)


def _names(workers: Sequence[Worker]) -> str:
    return ", ".join(worker.name for worker in workers)


def setting_text(value: Value) -> str:
    """Return a value in the form of `--set`."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
