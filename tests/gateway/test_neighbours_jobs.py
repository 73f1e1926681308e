"""The results of one request's jobs: bounded, and no call of what was not offered."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from antiphon_gateway.neighbours import chat_request
from antiphon_gateway.neighbours.chat import Completion
from antiphon_gateway.neighbours.jobs import MAX_RESULT_BYTES, MAX_RESULTS, JobResults, Jobs
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_proto.config import Llm
from antiphon_proto.messages import (
    AudioDelta,
    Done,
    FunctionCalled,
    Result,
    ResultBody,
    TextDelta,
)

DONE = Done(engine_ms=1.0)
AUDIO = AudioDelta(sample_rate_hz=24_000)


def put(results: JobResults, body: ResultBody, payload: bytes = b"") -> None:
    result = Result(
        job_id="j", session_id="s", turn_id=0, revision=0, attempt=1, index=0, body=body
    )
    results.put(result, payload)


async def test_results_wait_in_their_order() -> None:
    results = JobResults("j")
    for number in range(MAX_RESULTS - 1):
        put(results, TextDelta(text=str(number)))
    put(results, DONE)
    taken = [body async for body, _ in results]
    assert taken == [TextDelta(text=str(number)) for number in range(MAX_RESULTS - 1)]
    assert results.done == DONE


async def test_audio_that_is_taken_makes_room() -> None:
    results, half = JobResults("j"), bytes(MAX_RESULT_BYTES // 2)
    taken = aiter(results)
    for _ in range(5):
        put(results, AUDIO, half)
        put(results, AUDIO, half)
        assert [(await anext(taken))[1] for _ in range(2)] == [half, half]


@pytest.mark.parametrize(
    ("body", "payload", "count"),
    [(TextDelta(text="x"), b"", MAX_RESULTS), (AUDIO, bytes(MAX_RESULT_BYTES // 4), 4)],
)
async def test_a_client_that_takes_too_little_loses_the_request(
    body: ResultBody, payload: bytes, count: int
) -> None:
    results = JobResults("j")
    for _ in range(3 * count):
        put(results, body, payload)
    with pytest.raises(RequestRefused, match="were not taken") as refused:
        _ = [taken async for taken in results]
    assert refused.value.error_code == "client_too_slow"


class OneAnswer:
    """Jobs whose only one ends with these results."""

    def __init__(self, *bodies: ResultBody) -> None:
        self._results = JobResults("j")
        for body in bodies:
            put(self._results, body)

    def start(self, *_: Any, **__: Any) -> AsyncIterator[tuple[ResultBody, bytes]]:
        return cast(AsyncIterator[tuple[ResultBody, bytes]], self._results)


async def test_a_model_calls_no_function_that_was_not_offered() -> None:
    tool = {"type": "function", "function": {"name": "get_time"}}
    asked = {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}
    names = ("set_lamp", "get_time", "")
    jobs = OneAnswer(*(FunctionCalled(name=name, arguments="{}") for name in names), DONE)
    completion = Completion(cast(Jobs, jobs), chat_request.parse(asked, Llm()))
    parts = [part async for part in completion.parts()]
    assert [part.name for part in parts if not isinstance(part, str)] == ["get_time"]
    assert completion.finish_reason == "tool_calls"
