"""The planner: waits add up, more never holds less, the same question has the same answer."""

import random

import msgspec
import pytest

from antiphon_gateway.planning import capacity, work
from antiphon_gateway.planning.capacity import outcome, plan
from antiphon_gateway.planning.clock import Clock
from antiphon_gateway.planning.servers import Cores, Part, Server, point
from antiphon_gateway.planning.talker import clauses
from antiphon_proto.messages import Job, Stage, Synthesize
from antiphon_proto.planning import (
    Conversation,
    Engine,
    Figures,
    Machines,
    Outcome,
    Point,
    Question,
)

STT = Engine(engine="e", model="m", slots=2, points=(Point(jobs=1, first_ms=50, step_ms=20),))
LLM = Engine(
    engine="e",
    model="m",
    slots=4,
    points=(
        Point(jobs=1, first_ms=80, step_ms=10),
        Point(jobs=4, first_ms=100, step_ms=16),
    ),
)
TTS = Engine(engine="e", model="m", slots=1, points=(Point(jobs=1, first_ms=60, step_ms=300),))
ONE_SENTENCE = "The answer is a short one of eight words."


def question(**changes: object) -> Question:
    """Return a machine of three slow engines; the voice is the slowest."""
    asked = Question(
        figures=Figures(
            engines={"stt": STT, "llm": LLM, "tts": TTS}, cores=8, gateway_ms=5, hop_ms=0.5
        ),
        machines=Machines(workers={"stt": 1, "llm": 1, "tts": 1}, cores=8),
        p95_ms=900,
    )
    return msgspec.structs.replace(asked, **changes)


def with_workers(asked: Question, **counts: int) -> Question:
    workers = {**asked.machines.workers, **counts}
    return msgspec.structs.replace(
        asked, machines=msgspec.structs.replace(asked.machines, workers=workers)
    )


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon_gateway.planning.simulation.WARM_MS", 10_000.0)
    monkeypatch.setattr("antiphon_gateway.planning.simulation.TURNS", 150)
    monkeypatch.setattr("antiphon_gateway.planning.simulation.MOST_MS", 200_000.0)
    monkeypatch.setattr("antiphon_gateway.planning.simulation.LEAST_MS", 20_000.0)


# --- one conversation ------------------------------------------------------------------------


def test_the_wait_of_one_conversation_is_the_sum_of_its_stages() -> None:
    talk = Conversation(
        speech_s=(3.0, 3.0), replies=(ONE_SENTENCE,), release_ms=0, partial_interval_ms=0
    )
    alone = outcome(question(conversation=talk), 1)
    pause, stt, llm, tts = 100, 50 + 3 * 20, 80 + 8 * 10, 60
    hops, ways = 4 * 0.5, 6 * 0.1
    assert alone.p50_ms == alone.p95_ms
    assert alone.p95_ms == pytest.approx(pause + stt + llm + tts + hops + ways, abs=0.2)
    assert alone.gap_share == 0


def test_nothing_is_heard_before_the_turn_is_known_to_be_over() -> None:
    talk = Conversation(speech_s=(3.0, 3.0), replies=(ONE_SENTENCE,), release_ms=1_200)
    assert outcome(question(conversation=talk), 1).p95_ms == 1_200


def test_without_speculation_the_answer_begins_at_the_end_of_the_turn() -> None:
    talk = Conversation(replies=(ONE_SENTENCE,), release_ms=1_200, speculation=False)
    expected_ms = 1_200 + 80 + 8 * 10 + 60
    assert outcome(question(conversation=talk), 1).p95_ms == pytest.approx(expected_ms, abs=3)


def test_a_voice_slower_than_speech_leaves_gaps() -> None:
    slow = msgspec.structs.replace(TTS, points=(Point(jobs=1, first_ms=60, step_ms=1_500),))
    figures = Figures(engines={"stt": STT, "llm": LLM, "tts": slow}, cores=8)
    assert outcome(question(figures=figures), 1).gap_share > 0.5


def test_replies_are_cut_as_the_gateway_cuts_them() -> None:
    reply = "Yes, of course. It lies on the Seine, and two million people live there."
    cut = clauses(reply, 3)
    assert cut[0] == "Yes, of course. "
    assert " ".join("".join(cut).split()) == reply


# --- many ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    asked = question()
    assert outcome(asked, 4) == outcome(asked, 4)
    assert outcome(asked, 4) != outcome(msgspec.structs.replace(asked, seed=2), 4)


def test_more_workers_never_hold_fewer_conversations() -> None:
    asked = question()
    found = [capacity.capacity(with_workers(asked, tts=count)) for count in (1, 2)]
    assert found[0] < found[1]
    for stage in ("stt", "llm"):
        assert capacity.capacity(with_workers(asked, **{stage: 2})) >= found[0]


def test_the_limit_is_the_part_whose_doubling_buys_most() -> None:
    answer = plan(question(), lambda _: None)
    assert answer.limit == "tts"
    assert answer.doubled["tts"] == max(answer.doubled.values()) > answer.capacity
    assert answer.one_more["tts"] > answer.capacity
    assert answer.at_capacity.p95_ms <= answer.p95_ms
    assert answer.at_capacity.busy["tts"] == max(answer.at_capacity.busy.values())


def test_a_gateway_without_time_left_is_the_limit() -> None:
    fast = Engine(
        engine="e",
        model="m",
        slots=64,
        points=(Point(jobs=1, first_ms=1), Point(jobs=64, first_ms=1)),
    )
    figures = Figures(engines={"stt": fast, "llm": fast, "tts": fast}, cores=8, gateway_ms=100)
    answer = plan(question(figures=figures), lambda _: None)
    assert answer.limit == "gateway"
    assert answer.capacity < 10
    assert answer.doubled["gateway"] > 1.5 * answer.capacity


def test_a_slow_dispatcher_is_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("antiphon_gateway.planning.costs.DISPATCHER_JOB_MS", 40.0)
    fast = msgspec.structs.replace(LLM, slots=64, points=(Point(jobs=64, first_ms=1),))
    figures = Figures(engines={"stt": fast, "llm": fast, "tts": fast}, cores=8)
    asked = question(figures=figures)
    machines = msgspec.structs.replace(asked.machines, dispatchers=1, gateways=0)
    answer = plan(msgspec.structs.replace(asked, machines=machines), lambda _: None)
    assert answer.limit == "dispatcher"
    assert answer.doubled["dispatcher"] > 1.5 * answer.capacity
    # Its time is taken from the cores that all share.
    assert answer.at_capacity.busy["cores"] > answer.at_capacity.busy["dispatcher"] / 8


@pytest.mark.parametrize("used", [0.02, 0.8, 20.0])
def test_wherever_the_search_begins_it_ends_at_the_knee(
    used: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def holds(_: Question, conversations: int) -> bool:
        looked.append(conversations)
        return conversations <= 777

    monkeypatch.setattr(capacity, "_holds", holds)
    monkeypatch.setattr("antiphon_gateway.planning.work.most", lambda _: 1_000.0)
    found = capacity.capacity(question(), used=used)
    assert 777 / (1 + capacity.EXACT) <= found <= 777
    assert len(looked) <= 14
    assert len(set(looked)) == len(looked)
    assert 777 / (1 + capacity.EXACT) <= capacity.capacity(question(), held=700) <= 777


@pytest.mark.parametrize("knee", [0, 1, 2, 3, capacity.MOST])
def test_the_ends_of_the_search_are_found_too(knee: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_holds", lambda _, conversations: conversations <= knee)
    assert capacity.capacity(question()) == knee


def test_engines_that_share_cores_hold_fewer() -> None:
    busy = msgspec.structs.replace(
        TTS, points=(Point(jobs=1, first_ms=60, step_ms=300, cores=2.0),)
    )
    figures = Figures(engines={"stt": STT, "llm": LLM, "tts": busy}, cores=2)
    asked = with_workers(question(figures=figures, most_gaps=1), tts=2)
    alone = msgspec.structs.replace(asked.machines, cores=8)
    shared = msgspec.structs.replace(asked.machines, cores=2)
    of = lambda machines: capacity.capacity(  # noqa: E731
        msgspec.structs.replace(asked, machines=machines)
    )
    assert of(shared) < of(alone)


def test_answers_that_never_come_are_told_as_such_and_survive_the_wire() -> None:
    slow = msgspec.structs.replace(TTS, points=(Point(jobs=1, first_ms=40_000),))
    figures = Figures(engines={"stt": STT, "llm": LLM, "tts": slow}, cores=8)
    never = outcome(question(figures=figures), 2)
    assert (never.p50_ms, never.p95_ms) == (None, None)
    assert not never.keeps(question(p95_ms=1e9))
    assert msgspec.json.decode(msgspec.json.encode(never), type=Outcome) == never


def test_answers_with_gaps_are_not_held_unless_they_may_have_them() -> None:
    asked = question(p95_ms=3_000)
    clean, broken = capacity.capacity(asked), capacity.capacity(question(p95_ms=3_000, most_gaps=1))
    assert 0 < clean < broken
    assert outcome(asked, clean).gap_share <= 0.05
    assert outcome(asked, broken).gap_share > 0.05


def test_a_bar_that_one_conversation_misses_is_said_so() -> None:
    answer = plan(question(p95_ms=100), lambda _: None)
    assert (answer.capacity, answer.at_capacity.conversations, answer.limit) == (0, 1, "")


def test_cards_go_where_most_work_is_and_every_stage_has_one() -> None:
    asked = question()
    three = work.dealt(asked.figures, asked.conversation, 3)
    assert three == {"stt": 1, "llm": 1, "tts": 1}
    eight = work.dealt(asked.figures, asked.conversation, 8)
    assert sum(eight.values()) == 8
    assert eight["tts"] == max(eight.values())


def test_pools_multiply_and_the_conversations_asked_for_are_spread_over_them() -> None:
    asked = question()
    one = plan(asked, lambda _: None)
    machines = msgspec.structs.replace(asked.machines, pools=10)
    ten = plan(
        msgspec.structs.replace(asked, machines=machines, conversations=10 * one.capacity + 1),
        lambda _: None,
    )
    assert ten.capacity == 10 * one.capacity
    assert ten.pools_needed == 11
    assert ten.asked
    assert ten.asked.conversations == 10 * (one.capacity + 1)


def test_a_dispatcher_process_and_a_network_make_every_wait_longer() -> None:
    talk = Conversation(speech_s=(3.0, 3.0), replies=(ONE_SENTENCE,), release_ms=0)
    asked = question(conversation=talk)
    far = msgspec.structs.replace(asked.machines, dispatchers=1, networked=True, gateways=0)
    near_ms = outcome(asked, 1).p95_ms
    far_ms = outcome(msgspec.structs.replace(asked, machines=far), 1).p95_ms
    assert 1 < far_ms - near_ms < 5


def test_jobs_that_are_long_on_their_way_are_made_again_and_bring_their_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The scheduler takes a job that no heartbeat names for lost by then.
    monkeypatch.setattr("antiphon_gateway.planning.costs.DISPATCHER_MS", 3_500.0)
    talk = Conversation(replies=(ONE_SENTENCE,), partial_interval_ms=0)
    asked = question(conversation=talk)
    machines = msgspec.structs.replace(asked.machines, dispatchers=1)
    late = outcome(msgspec.structs.replace(asked, machines=machines), 3)
    assert late.turns > 0
    assert late.p50_ms > 3 * 3_500


# --- workers ---------------------------------------------------------------------------------


def test_between_measurements_lies_a_straight_line_and_beyond_them_nothing_is_gained() -> None:
    assert point(LLM.points, 1) == LLM.points[0]
    assert point(LLM.points, 2).step_ms == pytest.approx(12)
    eight = point(LLM.points, 8)
    assert (eight.first_ms, eight.step_ms) == (200, 32)


def ends_ms(stage: Stage, engine: Engine, begins_ms: list[float], steps: float) -> list[float]:
    """Return when jobs that begin at these times are done by one worker."""
    clock, ended = Clock(), dict[str, float]()
    cores = Cores(1, 0.0)

    def end(server: Server, job: Job) -> None:
        ended[job.job_id] = clock.now_ms

    server = Server("w", stage, engine, clock, cores, end)
    for number, begin_ms in enumerate(begins_ms):
        job = Job(
            job_id=str(number),
            session_id="s",
            turn_id=1,
            revision=0,
            attempt=1,
            reply_to="g",
            budget_ms=1,
            command=Synthesize(text="", voice=""),
        )
        parts = [Part(None, lambda: None), Part(steps, lambda: None)]
        clock.after(begin_ms, lambda job=job, parts=parts: server.take(job, parts))
    clock.run(1e6)
    return [ended[str(number)] for number in range(len(begins_ms))]


def test_jobs_that_overlap_slow_each_other_down_for_as_long_as_they_do() -> None:
    points = (Point(jobs=1, first_ms=100, step_ms=0), Point(jobs=2, first_ms=200, step_ms=0))
    engine = Engine(engine="e", model="m", slots=2, points=points)
    assert ends_ms("stt", engine, [0, 50], 0) == pytest.approx([150, 200])


def test_work_is_kept_whatever_the_order_of_arrivals() -> None:
    chance = random.Random(1)
    points = (Point(jobs=1, first_ms=0, step_ms=10), Point(jobs=8, first_ms=0, step_ms=80))
    engine = Engine(engine="e", model="m", slots=8, points=points)
    for _ in range(20):
        begins_ms = [chance.uniform(0, 30) for _ in range(8)]
        # The worker is never idle from the first arrival on, so it ends when all work is done.
        expected_ms = min(begins_ms) + 8 * 10 * 4
        assert max(ends_ms("llm", engine, begins_ms, 4)) == pytest.approx(expected_ms, abs=0.1)
