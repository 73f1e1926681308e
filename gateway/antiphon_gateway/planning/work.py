"""How much work a conversation is in the mean: where a search begins, how cards are dealt."""

from collections.abc import Sequence

import msgspec

from antiphon_gateway.planning.servers import point
from antiphon_gateway.planning.talker import clauses, cycle_ms
from antiphon_gateway.runway import CHARACTER_MS
from antiphon_proto.messages import STAGES, Stage
from antiphon_proto.planning import Conversation, Figures, Question, Span


def dealt(figures: Figures, conversation: Conversation, cards: int) -> dict[Stage, int]:
    """Return how many cards each stage gets, one at least: most where most is to be done."""
    work_ms = {stage: _turn_ms(stage, figures, conversation) for stage in STAGES}
    workers = dict.fromkeys(STAGES, 1)
    for _ in range(cards - len(STAGES)):
        busiest = max(STAGES, key=lambda stage: work_ms[stage] / workers[stage])
        workers[busiest] += 1
    return workers


def most(question: Question) -> float:
    """Return about how many conversations would take all the time of one of a pool's parts.

    Partial transcripts are left out: of those a busy pool makes few.
    """
    machines, figures, conversation = question.machines, question.figures, question.conversation
    without_partials = msgspec.structs.replace(conversation, partial_interval_ms=0.0)
    turn_ms, found = cycle_ms(conversation), []
    cores_ms = turn_ms * figures.gateway_ms / 1000
    for stage in STAGES:
        work_ms = _turn_ms(stage, figures, without_partials)
        engine = figures.engines[stage]
        cores_ms += work_ms * point(engine.points, engine.slots).cores
        found.append(machines.workers[stage] * turn_ms / max(work_ms, 1e-6))
    found.append(machines.cores * turn_ms / max(cores_ms, 1e-6))
    if machines.gateways:
        found.append(1000 * machines.gateways / max(figures.gateway_ms, 1e-6))
    return min(found)


def _turn_ms(stage: Stage, figures: Figures, conversation: Conversation) -> float:
    """Return for how long one turn takes all of a worker that has as many jobs as it can hold."""
    engine = figures.engines[stage]
    full = point(engine.points, engine.slots)
    jobs, steps = 1.0, 0.0
    replies = conversation.replies
    if stage == "stt":
        speech_s = _mean(conversation.speech_s)
        interval_ms = conversation.partial_interval_ms
        jobs += 1000 * speech_s / interval_ms if interval_ms else 0
        steps = jobs * speech_s / 2 + speech_s / 2  # a partial hears half of it in the mean
    elif stage == "llm":
        steps = _mean([len(reply.split()) for reply in replies])
    else:
        jobs = _mean([len(clauses(reply, conversation.first_clause_words)) for reply in replies])
        steps = _mean([len(reply) * CHARACTER_MS / 1000 for reply in replies])
    return (jobs * full.first_ms + steps * full.step_ms) / engine.slots


def _mean(values: Sequence[float] | Span) -> float:
    return sum(values) / len(values)
