"""Random messages, valid and invalid, to a real gateway: each is answered or refused, none is left.

`ANTIPHON_SEQUENCES=10000` sends more of them; CONTRIBUTING.md says how.
"""

import asyncio
import base64
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from event_sequences import ANSWERED, EVENT
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as some
from system import GATEWAY, SIMULATED, System, running_system
from system_client import noise, silence

from antiphon_gateway.realtime.errors import ERROR_CODES

logger = logging.getLogger(__name__)
pytestmark = pytest.mark.integration

SEQUENCES = int(os.environ.get("ANTIPHON_SEQUENCES", "60"))
QUICK = {
    **SIMULATED,
    "turn_taking.detector": "loudness",
    "simulated.reply": "Yes. No.",
    "simulated.llm_first_token_ms": 0,
    "simulated.llm_token_ms": 0,
    "simulated.tts_first_audio_ms": 0,
    "simulated.tts_real_time_factor": 0,
    "simulated.stt_ms": 0,
}
RAW = some.sampled_from(["", "{", "[1]", '"x"', "null", "{}", '{"type": 3}', "\x00", "{}}", "true"])
"""Texts that are no event; each is refused."""
BYTES = some.binary(max_size=64)
"""Binary messages, which this client never agreed upon."""
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
FAIR = some.sampled_from(
    [
        {"type": "session.update", "session": {"audio": {"output": {"speed": 1.5}}}},
        {"type": "session.update", "session": {"output_modalities": ["text"]}},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(noise(0.6)).decode()},
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(silence(4.0)).decode()},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
        {"type": "conversation.item.create", "item": HELLO},
        {"type": "conversation.item.create", "item": {**HELLO, "id": "mine"}},
        {"type": "conversation.item.retrieve", "item_id": "mine"},
        {"type": "conversation.item.delete", "item_id": "mine"},
        {"type": "response.create"},
        {"type": "response.create", "response": {"conversation": "none", "input": [HELLO]}},
        {"type": "response.cancel"},
    ]
)
"""What is carried out, when the conversation is as it should be."""
STEP = some.booleans().flatmap(lambda fair: FAIR if fair else EVENT | RAW | BYTES)
STEPS = some.lists(STEP, min_size=4, max_size=25)
TOGETHER = 8
"""Sequences at once, each in a session of its own."""
LAST = "nobody has this item"


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system(QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


async def converse(url: str, steps: list[Any]) -> tuple[list[dict[str, Any]], int | None]:
    """Send everything at once, then a question that closes the account; return what came.

    The code is that of the server's close, None when the connection was still open.
    """
    async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
        for number, step in enumerate(steps):
            if isinstance(step, bytes):
                await socket.send_bytes(step)
            elif isinstance(step, str):
                await socket.send_str(step)
            else:
                await socket.send_str(json.dumps({**step, "event_id": str(number)}))
        question = {"type": "conversation.item.retrieve", "item_id": LAST, "event_id": LAST}
        await socket.send_json(question)
        came: list[dict[str, Any]] = []
        async with asyncio.timeout(20):
            while not came or (came[-1].get("error") or {}).get("event_id") != LAST:
                message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return came, socket.close_code or message.data
                came.append(message.json())
        return came, None


async def converse_together(
    url: str, together: list[list[Any]]
) -> list[tuple[list[dict[str, Any]], int | None]]:
    """Hold several conversations at once."""
    return await asyncio.gather(*(converse(url, steps) for steps in together))


def is_json(step: Any) -> bool:
    """Tell whether what was sent of an event is JSON; only then its id can be known."""
    try:
        json.dumps(step, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def judge(steps: list[Any], came: list[dict[str, Any]], code: int | None) -> None:
    """Fail unless each message was answered or refused, once, by a rule."""
    assert code is None, f"closed with {code}"
    assert came[0]["type"] == "session.created"
    assert all(event["event_id"] for event in came)
    *errors, last = [event["error"] for event in came if event["type"] == "error"]
    assert last["code"] == "item_not_found"
    for error in errors:
        assert error["type"] == "invalid_request_error"
        assert error["code"] in ERROR_CODES
        assert error["message"]
    refused = Counter(error["event_id"] for error in errors)
    named = {
        str(number): step
        for number, step in enumerate(steps)
        if isinstance(step, dict) and is_json(step)
    }
    assert set(refused) - {None} <= set(named)
    assert all(count == 1 for event_id, count in refused.items() if event_id is not None)
    assert refused[None] == len(steps) - len(named)
    got = Counter(event["type"] for event in came)
    wanted = Counter(
        ANSWERED[step["type"]]
        for event_id, step in named.items()
        if event_id not in refused and step["type"] in ANSWERED
    )
    assert all(got[kind] >= count for kind, count in wanted.items()), (wanted, got)
    exact = ("session.updated", "input_audio_buffer.cleared", "conversation.item.retrieved")
    assert all(got[kind] == wanted[kind] for kind in exact), (wanted, got)
    assert got["response.done"] <= got["response.created"] <= got["response.done"] + 1


def leftovers(server: System) -> dict[str, Any]:
    """Return what the server still holds of anybody."""
    answer = server.get("/v1/status")
    assert answer is not None
    status = answer.json()
    jobs = {
        name: [worker["outstanding"] for worker in stage["workers"]]
        for name, stage in status["stages"].items()
    }
    return {"sessions": status["sessions"], **{k: v for k, v in jobs.items() if any(v)}}


@pytest.mark.timeout(60 + SEQUENCES)
def test_whatever_is_sent_is_answered_or_refused_and_nothing_is_left(
    server: System, runner: asyncio.Runner
) -> None:
    sent = Counter[str]()

    @seed(6)
    @settings(
        max_examples=-(-SEQUENCES // TOGETHER),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(together=some.lists(STEPS, min_size=TOGETHER, max_size=TOGETHER))
    def sequences(together: list[list[Any]]) -> None:
        for steps, (came, code) in zip(
            together, runner.run(converse_together(server.realtime_url, together)), strict=True
        ):
            judge(steps, came, code)
            sent["sequences"] += 1
            sent["messages"] += len(steps)
            sent["refused"] += sum(event["type"] == "error" for event in came) - 1

    pid = server.pid(GATEWAY)
    sequences()
    server.wait_for(lambda: leftovers(server) == {"sessions": []}, 20)
    assert server.processes[GATEWAY].poll() is None
    assert server.pid(GATEWAY) == pid
    server.assert_no_traceback()
    logger.info("sent: %s", dict(sent))
    assert sent["sequences"] >= SEQUENCES
    assert 0 < sent["refused"] < sent["messages"]
