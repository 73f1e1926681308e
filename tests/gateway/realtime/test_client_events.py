"""Client events: what the official SDK sends, and what is refused how."""

import base64
import json
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.server import ServerConnection, serve

from antiphon_gateway.realtime import client_events as events
from antiphon_gateway.realtime.client_events import decode
from antiphon_gateway.realtime.client_items import ClientFunctionCallOutput, ClientMessage
from antiphon_gateway.realtime.errors import ERROR_CODES, InvalidEvent

ITEM = '"type":"conversation.item.create","event_id":"mine","item":'


async def send_each_event(connection: AsyncRealtimeConnection) -> None:
    await connection.session.update(
        session={
            "type": "realtime",
            "audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}},
        }
    )
    await connection.input_audio_buffer.append(audio=base64.b64encode(b"\x01\x02\x03").decode())
    await connection.input_audio_buffer.commit(event_id="mine")
    await connection.input_audio_buffer.clear()
    await connection.output_audio_buffer.clear()
    await connection.conversation.item.create(
        item={
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}],
        },
        previous_item_id="root",
    )
    await connection.conversation.item.create(
        item={"type": "function_call_output", "call_id": "call_1", "output": "10:00"}
    )
    await connection.conversation.item.retrieve(item_id="item_1")
    await connection.conversation.item.truncate(
        item_id="item_15", content_index=0, audio_end_ms=240
    )
    await connection.conversation.item.delete(item_id="item_1")
    await connection.response.create()
    await connection.response.create(response={"instructions": "Sing.", "conversation": "none"})
    await connection.response.cancel(response_id="resp_1")


async def test_every_event_of_the_official_sdk_is_decoded() -> None:
    received: list[events.ClientEvent] = []

    async def receive(socket: ServerConnection) -> None:
        received.extend([decode(frame) async for frame in socket])

    async with serve(receive, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = AsyncOpenAI(api_key="any", websocket_base_url=f"ws://127.0.0.1:{port}/v1")
        async with client, client.realtime.connect(model="local") as connection:
            await send_each_event(connection)
        server.close()
        await server.wait_closed()

    update, append, commit, clear, output_clear, create, output, *rest = received
    assert isinstance(update, events.SessionUpdate)
    assert update.session["audio"]["input"]["turn_detection"]["eagerness"] == "high"
    assert append == events.InputAudioAppend(audio=b"\x01\x02\x03")
    assert commit == events.InputAudioCommit(event_id="mine")
    assert clear == events.InputAudioClear()
    assert output_clear == events.OutputAudioClear()
    assert isinstance(create, events.ItemCreate)
    assert isinstance(create.item, ClientMessage)
    assert create.previous_item_id == "root"
    assert isinstance(output, events.ItemCreate)
    assert isinstance(output.item, ClientFunctionCallOutput)
    assert rest == [
        events.ItemRetrieve(item_id="item_1"),
        events.ItemTruncate(item_id="item_15", content_index=0, audio_end_ms=240),
        events.ItemDelete(item_id="item_1"),
        events.ResponseCreate(),
        events.ResponseCreate(response={"instructions": "Sing.", "conversation": "none"}),
        events.ResponseCancel(response_id="resp_1"),
    ]


def test_the_playout_extension_is_decoded() -> None:
    text = '{"type":"antiphon.playout","item_id":"item_1","played_ms":120,"buffered_ms":80}'
    assert decode(text) == events.Playout(item_id="item_1", played_ms=120, buffered_ms=80)


def test_unknown_fields_are_ignored() -> None:
    assert decode('{"type":"response.cancel","later":{"a":[1]}}') == events.ResponseCancel()


def test_appends_of_the_largest_size_are_decoded() -> None:
    audio = bytes(events.MAX_APPEND_BYTES)
    text = json.dumps(
        {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}
    )
    assert decode(text) == events.InputAudioAppend(audio=audio)


def append(audio: str) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio, "event_id": "mine"})


def truncate(**fields: Any) -> str:
    event = {"type": "conversation.item.truncate", "event_id": "mine"}
    return json.dumps({**event, "item_id": "i", "content_index": 0, "audio_end_ms": 0, **fields})


@pytest.mark.parametrize(
    ("text", "code", "param", "message"),
    [
        ("", "invalid_json", None, "not JSON"),
        ("{", "invalid_json", None, "not JSON"),
        ('{"type":"response.cancel"} x', "invalid_json", None, "trailing"),
        (b'{"type":"response.cancel","event_id":"\xff"}', "invalid_json", None, "UTF-8"),
        ('{"type":"response.cancel","event_id":"\ud800"}', "invalid_json", None, "surrogate"),
        ('{"type":"response.cancel","event_id":"\\ud800"}', "invalid_json", None, "surrogate"),
        ('{"type":"x","a":' + "[" * 100_000 + "]" * 100_000 + "}", "invalid_json", None, "nested"),
        ("[1]", "invalid_value", None, "expected `object`"),
        ("{}", "missing_field", "type", "type is missing"),
        ('{"type":7}', "invalid_value", "type", "expected `str`"),
        ('{"type":"session.created"}', "unknown_event", "type", "session.created"),
        ('{"type":"session.update"}', "missing_field", "session", "session is missing"),
        ('{"type":"session.update","session":[]}', "invalid_value", "session", "`object`"),
        ('{"type":"session.update","session":{"a":1e999}}', "invalid_value", "session", "range"),
        ('{"type":"response.cancel","event_id":7}', "invalid_value", "event_id", "`str"),
        (append("AAA"), "invalid_value", "audio", "base64"),
        (append("AA A"), "invalid_value", "audio", "base64"),
        (append("AA-_"), "invalid_value", "audio", "base64"),
        (append("AAAA\n"), "invalid_value", "audio", "base64"),
        (append("A" * 22_000_000), "invalid_value", "audio", "15728640"),
        (truncate(audio_end_ms=-1), "invalid_value", "audio_end_ms", ">= 0"),
        (truncate(audio_end_ms="9"), "invalid_value", "audio_end_ms", "expected `int`"),
        (truncate(audio_end_ms=1.5), "invalid_value", "audio_end_ms", "expected `int`"),
        (truncate(audio_end_ms=True), "invalid_value", "audio_end_ms", "expected `int`"),
        (truncate(audio_end_ms=10**30), "invalid_value", "audio_end_ms", "<= 9007199254740992"),
        (truncate(audio_end_ms=10**4000), "invalid_value", "audio_end_ms", "9007199254740992"),
        (truncate(content_index=-1), "invalid_value", "content_index", ">= 0"),
        (truncate(item_id=""), "invalid_value", "item_id", "length >= 1"),
        (truncate(item_id="i" * 65), "invalid_value", "item_id", "length <= 64"),
        ("{" + ITEM + '{"type":"mcp_call"}}', "invalid_value", "item.type", "function_call_output"),
        (
            "{" + ITEM + '{"type":"message","role":"tool","content":[]}}',
            "invalid_value",
            "item.role",
            "allowed: assistant, system, user",
        ),
        (
            "{" + ITEM + '{"type":"message","role":"user","content":[{"type":"input_image"}]}}',
            "invalid_value",
            "item.content[0].type",
            "allowed: input_text, input_audio, output_text, output_audio",
        ),
        (
            "{" + ITEM + '{"type":"message","role":"user","content":[{"type":"input_text"}]}}',
            "missing_field",
            "item.content[0].text",
            "is missing",
        ),
        (
            "{" + ITEM + '{"type":"function_call_output","output":"x"}}',
            "missing_field",
            "item.call_id",
            "is missing",
        ),
        (
            '{"type":"antiphon.playout","item_id":"i","played_ms":0}',
            "missing_field",
            "buffered_ms",
            "is missing",
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_bad_events_are_refused_by_name(
    text: bytes | str, code: str, param: str | None, message: str
) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        decode(text)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert message in refusal.value.message
    assert len(refusal.value.message) < 500
    assert code in ERROR_CODES


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"nonsense","event_id":"mine"}',
        '{"event_id":"mine"}',
        '{"type":[],"event_id":"mine"}',
        '{"type":"session.update","event_id":"mine"}',
        append("A"),
        truncate(audio_end_ms=-1),
    ],
)
def test_a_refusal_carries_the_clients_event_id(text: str) -> None:
    with pytest.raises(InvalidEvent) as refusal:
        decode(text)
    assert refusal.value.event_id == "mine"


def test_an_overlong_event_id_is_refused_and_not_echoed() -> None:
    with pytest.raises(InvalidEvent) as refusal:
        decode(json.dumps({"type": "response.cancel", "event_id": "x" * 513}))
    assert (refusal.value.param, refusal.value.event_id) == ("event_id", None)
