"""How many conversations keep within the bar, which part limits them, and what more of it buys."""

import math
from collections.abc import Callable, Mapping

import msgspec

from antiphon_gateway.planning import costs, work
from antiphon_gateway.planning.simulation import Simulation
from antiphon_proto.messages import STAGES
from antiphon_proto.planning import Machines, Outcome, Plan, Question

EXACT = 0.03
"""Capacities are found to this share of themselves, or to one conversation."""
MOST = 20_000
"""Conversations of one pool; more are not looked for."""
_USED = 0.8
"""Of what a pool has time for in the mean; where the search for its capacity begins."""
_REACH, _NEAR = 1.15, 1.06
"""By what factor the first step of a search goes on; each further one by the square of the last.
The latter where the share that is used is known of machines that are nearly the same."""

Progress = Callable[[str], None]


def outcome(question: Question, conversations: int, *, briefly: bool = False) -> Outcome:
    """Return how so many conversations of one pool fare; briefly: as far as the bar needs it."""
    gateways = _gateways(question, conversations)
    return Simulation(question, conversations, gateways).run(briefly=briefly)


def capacity(
    question: Question, *, used: float = _USED, reach: float = _REACH, held: int = 0
) -> int:
    """Return how many conversations of one pool keep within the bar.

    The search begins at a share `used` of what there is time for in the mean, and goes on by a
    factor of `reach`; so many as `held` are known to keep within it.
    """
    low, high = min(held, MOST), MOST + 1
    step = math.floor(used * work.most(question))
    while high - low > max(1, math.floor(EXACT * low)):
        step = min(max(step, low + 1), high - 1)
        if _holds(question, step):
            low = step
        else:
            high = step
        if high > MOST:
            step = math.ceil(low * reach)
        elif low <= held:
            step = math.floor(high / reach)
        else:
            step = (low + high) // 2
        reach *= reach
    return low


def plan(question: Question, progress: Progress) -> Plan:
    """Answer a question. `progress` is told what is simulated."""
    pools = question.machines.pools
    if count := question.machines.cards:
        dealt = work.dealt(question.figures, question.conversation, count)
        question = _with(question, workers=dealt)
    progress("how many conversations keep within the bar")
    found = capacity(question)
    used = max(found, 1) / work.most(question)
    doubled: dict[str, int] = {}
    for part, changed in _doubled(question).items():
        progress(f"twice as much: {part}")
        doubled[part] = _at_least(found, changed, used)
    one_more = {}
    for stage in STAGES:
        count = question.machines.workers[stage]
        more = doubled[stage]
        if count > 1 and more > found:
            progress(f"one more {stage} worker")
            workers = {**question.machines.workers, stage: count + 1}
            more = _at_least(found, _with(question, workers=workers), used)
        one_more[stage] = pools * more
    best = max(doubled, key=lambda part: doubled[part])
    asked, needed = None, 0
    if question.conversations:
        progress(f"{question.conversations} conversations")
        each = math.ceil(question.conversations / pools)
        asked = outcome(question, each, briefly=each > found)
        needed = math.ceil(question.conversations / found) if found else 0
    return Plan(
        machines=question.machines,
        p95_ms=question.p95_ms,
        capacity=pools * found,
        at_capacity=_of_all(outcome(question, max(1, found)), pools),
        limit=best if doubled[best] > found else "",
        doubled={part: pools * count for part, count in doubled.items()},
        one_more=one_more,
        asked=asked and _of_all(asked, pools),
        pools_needed=needed,
    )


def _at_least(found: int, changed: Question, used: float) -> int:
    """Return the capacity with more of something, which is not less than without."""
    more = found + max(1, math.ceil(2 * EXACT * found))
    if not _holds(changed, more):
        return found
    return capacity(changed, used=used, reach=_NEAR, held=more)


def _holds(question: Question, conversations: int) -> bool:
    return outcome(question, conversations, briefly=True).keeps(question)


def _doubled(question: Question) -> Mapping[str, Question]:
    """Return the question with twice as much of each part."""
    machines = question.machines
    parts: dict[str, Question] = {"cores": _with(question, cores=2 * machines.cores)}
    for stage in STAGES:
        workers = {**machines.workers, stage: 2 * machines.workers[stage]}
        parts[stage] = _with(question, workers=workers)
    if machines.dispatchers:
        parts["dispatcher"] = _with(question, dispatchers=2 * machines.dispatchers)
    if machines.gateways:
        parts["gateway"] = _with(question, gateways=2 * machines.gateways)
    return parts


def _with(question: Question, **changes: object) -> Question:
    machines: Machines = msgspec.structs.replace(question.machines, **changes)
    return msgspec.structs.replace(question, machines=machines)


def _gateways(question: Question, conversations: int) -> int:
    """Return how many gateway processes so many conversations have."""
    busy = conversations * question.figures.gateway_ms / 1000
    return question.machines.gateways or max(1, math.ceil(busy / costs.GATEWAY_SHARE))


def _of_all(one: Outcome, pools: int) -> Outcome:
    return msgspec.structs.replace(one, conversations=pools * one.conversations)
