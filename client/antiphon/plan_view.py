"""Pure: what `antiphon plan` prints."""

from collections.abc import Iterator

from antiphon_proto.messages import STAGES
from antiphon_proto.planning import Outcome, Plan, Question


def picture(question: Question, answer: Plan) -> str:
    """Return the answer as a person reads it."""
    return "\n".join(
        (
            *_measured(question),
            "",
            *_capacity(question, answer),
            "",
            *_parts(answer),
            *_asked(question, answer),
        )
    )


def _measured(question: Question) -> Iterator[str]:
    units = {"stt": "s of speech heard", "llm": "word", "tts": "s of speech made"}
    for stage in STAGES:
        engine = question.figures.engines[stage]
        name = f"{engine.engine} {engine.model}".strip()
        yield f"{stage}  {name}, {engine.slots} at once"
        for point in engine.points:
            yield (
                f"     {point.jobs:3} held: {point.first_ms:7.1f} ms to the first result, "
                f"{point.step_ms:6.1f} ms each {units[stage]}, {point.cores:.2f} cores"
            )
    known = "measured" if question.figures.gateway_measured else "not measured, taken to be so"
    yield f"gateway  {question.figures.gateway_ms:g} ms each second of a session ({known})"


def _capacity(question: Question, answer: Plan) -> Iterator[str]:
    machines, at = answer.machines, answer.at_capacity
    workers = ", ".join(f"{machines.workers[stage]} {stage}" for stage in STAGES)
    pools = f"{machines.pools} pools, each with " if machines.pools > 1 else ""
    each = " each" if machines.pools > 1 else ""
    yield (
        f"{pools}{workers} workers, {at.gateways} gateway{'s' * (at.gateways > 1)}, "
        f"{machines.cores:g} cores"
    )
    bar = f"p95 < {answer.p95_ms:g} ms"
    if question.most_gaps < 1:
        bar += f" and gaps in at most {100 * question.most_gaps:g} % of the answers"
    if answer.capacity:
        yield f"{answer.capacity} conversations at {bar} ({_waits(at)})"
    else:
        yield f"not even one conversation{each} has {bar} ({_waits(at)})"


def _waits(outcome: Outcome) -> str:
    return (
        f"p50 {_time(outcome.p50_ms)}, p95 {_time(outcome.p95_ms)}, "
        f"{100 * outcome.gap_share:.0f} % of the answers with a gap"
    )


def _time(wait_ms: float | None) -> str:
    return "never" if wait_ms is None else f"{wait_ms:.0f} ms"


def _parts(answer: Plan) -> Iterator[str]:
    yield f"{'':12}{'busy':>6}{'twice as much':>16}{'one more worker':>18}"
    more = dict[str, int](answer.one_more.items())
    for part, busy in answer.at_capacity.busy.items():
        twice = answer.doubled.get(part)
        line = f"{part:12}{100 * busy:4.0f} %{'' if twice is None else twice:>16}"
        line += f"{more.get(part, ''):>18}"
        yield line.rstrip() + ("   <- the limit" if part == answer.limit else "")
    if answer.limit == "dispatcher":
        yield "a pool has one dispatcher: more, smaller pools hold more (--pool-hosts)"
    stage = max(answer.one_more, key=lambda one: answer.one_more[one])
    each = " in each pool" if answer.machines.pools > 1 else ""
    if answer.one_more[stage] > answer.capacity:
        yield (
            f"the next GPU or process{each}, as {stage} worker: "
            f"{answer.capacity} -> {answer.one_more[stage]} conversations"
        )
    else:
        yield f"one more worker{each} of no stage buys a conversation"


def _asked(question: Question, answer: Plan) -> Iterator[str]:
    if answer.asked is None:
        return
    held = "are held" if answer.asked.keeps(question) else "are too many"
    yield ""
    yield f"{answer.asked.conversations} conversations {held}: {_waits(answer.asked)}"
    if answer.machines.pools > 1 and answer.pools_needed:
        yield f"they need {answer.pools_needed} such pools"
