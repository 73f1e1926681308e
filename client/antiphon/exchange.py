"""Pure: the steps by which the workers of a stage become workers with other settings, and back."""

from collections.abc import Mapping

import msgspec

from antiphon.placement import (
    Deployment,
    Group,
    Value,
    Worker,
    check_count,
    lowest_free_index,
    shortage,
)
from antiphon_proto.errors import ConfigurationError
from antiphon_proto.messages import Stage


class Exchange:
    """Every worker of a stage, one after the other, for one with other settings in its place.

    Each group of the stage gets a successor, on the same cards. Places of groups are what workers
    are known by, so the old ones stay in the list, retired.
    """

    def __init__(self, deployment: Deployment, stage: Stage, changes: Mapping[str, Value]) -> None:
        """`changes` are settings of the stage."""
        self.stage = stage
        groups = list(deployment.groups)
        taken = {worker.group for worker in deployment.workers}
        unused = [place for place in deployment.retired if place not in taken]
        ours = [place for place, group in enumerate(groups) if group.stage == stage]
        in_use = [place for place in ours if place not in deployment.retired]
        # Workers of retired groups are what a change left that was broken off.
        left = [place for place in ours if place in taken and place in deployment.retired]
        self._successors: dict[int, int] = {}
        for place in (*in_use, *left):
            successor = _changed(deployment.groups[place], changes)
            places = self._successors.values()
            alike = [other for other in places if place in left and groups[other] == successor]
            if alike:
                self._successors[place] = alike[0]
            elif unused:
                self._successors[place] = unused.pop(0)
                groups[self._successors[place]] = successor
            else:
                self._successors[place] = len(groups)
                groups.append(successor)
        self._begin = _retire(
            msgspec.structs.replace(deployment, groups=tuple(groups)), self._successors
        )

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that the new workers belong to."""
        return tuple(self._begin.groups[place] for place in set(self._successors.values()))

    def steps(self) -> list[Deployment]:
        """Return what is to run after each step, of which each adds a worker and takes one away.

        Raises ConfigurationError when there is no room for the worker that a step adds.
        """
        return _moved(self._begin, self._successors)

    def way_back(self, reached: Deployment) -> list[Deployment]:
        """Return the steps from one of `steps` to workers with the settings of before."""
        back = {new: old for old, new in reversed(self._successors.items())}
        return _moved(_retire(reached, back), back)


def _changed(group: Group, changes: Mapping[str, Value]) -> Group:
    settings = {**group.settings, **changes}
    slots = settings.pop("slots", group.slots)
    return msgspec.structs.replace(group, settings=settings, slots=slots)


def _retire(deployment: Deployment, successors: Mapping[int, int]) -> Deployment:
    """Return it with the groups retired that have a successor, and their successors in use."""
    retired = {*deployment.retired, *successors} - {*successors.values()}
    return msgspec.structs.replace(deployment, retired=tuple(sorted(retired)))


def _moved(deployment: Deployment, successors: Mapping[int, int]) -> list[Deployment]:
    steps = []
    for old in sorted(deployment.workers, key=lambda worker: worker.index):
        if old.group not in successors:
            continue
        index = lowest_free_index(deployment, old.stage)
        new = Worker(old.stage, index, successors[old.group], old.gpu)
        if fault := shortage(deployment, new):
            raise ConfigurationError(
                f"no room for {new.name} beside {old.name}, which serves until the other has "
                f"loaded: {fault}; or make room with antiphon scale"
            )
        both = msgspec.structs.replace(deployment, workers=(*deployment.workers, new))
        check_count(both)
        kept = tuple(worker for worker in both.workers if worker != old)
        deployment = msgspec.structs.replace(both, workers=kept)
        steps.append(deployment)
    return steps
