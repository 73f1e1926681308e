"""Clients send nonsense, too much and too little: each is told what, no other is harmed."""

import asyncio
import base64
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from system import SIMULATED, System, running_system
from system_client import (
    DATA,
    MIC_HZ,
    OUT_HZ,
    Client,
    connected,
    noise,
    silence,
    speech,
)

from antiphon_proto.audio import Resampler, read_wav
from antiphon_proto.frames import AudioFrame, FrameKind

pytestmark = [pytest.mark.integration, pytest.mark.models]

REPLY = "Nothing that others send changes a word of this. Not one."
PATIENT = {
    **SIMULATED,
    "simulated.reply": REPLY,
    "simulated.llm_token_ms": 20,
    # All audio as soon as it is made, so that no test waits for the playing of it.
    "playout.unreported_lead_ms": 600_000,
    # Minutes of audio in one message, twice in a row.
    "gateway.audio_burst_s": 600,
}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    """One server for all of these tests: whatever one sends must not harm the next."""
    with running_system(PATIENT) as system:
        yield system
        system.assert_no_traceback()
        assert all(process.poll() is None for process in system.processes.values())


@asynccontextmanager
async def neighbour(server: System) -> AsyncIterator[Client]:
    """Hold a turn in another session during the block; it must come out whole."""
    async with connected(server.realtime_url) as other:
        await other.say_text("Please go on.")
        await other.event("response.created")
        yield other
        assert (await other.done())["status"] == "completed"
        assert other.reply_deltas == REPLY
        assert len(other.audio) > OUT_HZ


async def assert_usable(client: Client) -> None:
    """Fail unless the session still holds a turn."""
    client.events.clear()
    await client.say_text("Still there?")
    assert (await client.done())["status"] == "completed"
    assert client.reply_deltas == REPLY


def event(type_: str, **fields: Any) -> str:
    return json.dumps({"type": type_, **fields})


def update(**session: Any) -> str:
    return event("session.update", session={"type": "realtime", **session})


def turn_detection(**fields: Any) -> str:
    return update(audio={"input": {"turn_detection": {"type": "server_vad", **fields}}})


def item(**fields: Any) -> str:
    return event("conversation.item.create", item=fields)


def message(role: str, *content: Any) -> str:
    return item(type="message", role=role, content=list(content))


def truncate(**fields: Any) -> str:
    return event("conversation.item.truncate", item_id="x", content_index=0, **fields)


DEEP = "[" * 100_000 + "]" * 100_000
NESTED = {"a": json.loads("[" * 80 + "]" * 80)}
LONG = "x" * 70_000

# What is sent, the code of the error, and what its message or parameter must name.
REFUSED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "half": ('{"type":"response.create"', "invalid_json", ()),
    "empty": ("", "invalid_json", ()),
    "words": ("hello", "invalid_json", ()),
    "nul": ("\x00\x00", "invalid_json", ()),
    "nan": ('{"type":"response.create","response":{"metadata":NaN}}', "invalid_json", ()),
    "deep": ('{"type":"session.update","session":' + DEEP + "}", "invalid_json", ("deep",)),
    "surrogate": ('{"type":"\\ud800"}', "invalid_json", ("surrogate",)),
    "surrogate in text": (
        '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
        '"content":[{"type":"input_text","text":"\\udfff"}]}}',
        "invalid_json",
        ("surrogate",),
    ),
    "list": ("[1]", "invalid_value", ("event", "array")),
    "null": ("null", "invalid_value", ("event", "null")),
    "no type": ("{}", "missing_field", ("type",)),
    "number as type": (event(5), "invalid_value", ("type", "str")),  # type: ignore[arg-type]
    "unknown event": (event("no.such.event"), "unknown_event", ("type", "no.such.event")),
    "long event name": (event(LONG), "unknown_event", ("type",)),
    "webrtc only": (event("output_audio_buffer.clear"), "unsupported_event", ("truncate",)),
    "no audio": (event("input_audio_buffer.append"), "missing_field", ("audio",)),
    "audio number": (event("input_audio_buffer.append", audio=7), "invalid_value", ("audio",)),
    "no base64": (event("input_audio_buffer.append", audio="%%"), "invalid_value", ("audio",)),
    "empty commit": (
        event("input_audio_buffer.commit"),
        "input_audio_buffer_commit_empty",
        ("100",),
    ),
    "session list": (event("session.update", session=[]), "invalid_value", ("session",)),
    "session nested": (update(tools=[NESTED]), "invalid_value", ("session", "64 levels")),
    "rate": (
        update(audio={"input": {"format": {"type": "audio/pcm", "rate": 44_100}}}),
        "invalid_value",
        ("session.audio.input.format.rate", "24000"),
    ),
    "format": (
        update(audio={"output": {"format": {"type": "audio/mp3"}}}),
        "invalid_value",
        ("session.audio.output.format.type", "audio/pcm"),
    ),
    "threshold": (turn_detection(threshold=7), "invalid_value", ("threshold", "1")),
    "silence": (
        turn_detection(silence_duration_ms=10**400),
        "invalid_value",
        ("session", "64 bits"),
    ),
    "speed": (update(audio={"output": {"speed": 9}}), "invalid_value", ("speed", "1.5")),
    "tokens": (update(max_output_tokens=-1), "invalid_value", ("max_output_tokens", "1")),
    "modalities": (update(output_modalities=["smell"]), "invalid_value", ("modalities", "audio")),
    "role": (message("wizard"), "invalid_value", ("item.role", "assistant")),
    "content": (
        message("system", {"type": "input_audio"}),
        "invalid_value",
        ("item.content[0].type", "input_text"),
    ),
    "long text": (
        message("user", {"type": "input_text", "text": LONG}),
        "invalid_value",
        ("item.content", "65536"),
    ),
    "many parts": (
        message("user", *[{"type": "input_text", "text": ""}] * 100),
        "invalid_value",
        ("item.content", "64"),
    ),
    "item type": (item(type="dream"), "invalid_value", ("item.type", "message")),
    "unknown item": (event("conversation.item.retrieve", item_id="x"), "item_not_found", ("x",)),
    "unknown item deleted": (
        event("conversation.item.delete", item_id="x"),
        "item_not_found",
        ("x",),
    ),
    "unknown item cut": (truncate(audio_end_ms=1), "item_not_found", ("x",)),
    "negative time": (truncate(audio_end_ms=-1), "invalid_value", ("audio_end_ms", "0")),
    "giant time": (truncate(audio_end_ms=10**400), "invalid_value", ("audio_end_ms",)),
    "cancel nothing": (event("response.cancel"), "response_cancel_not_active", ()),
    "response list": (event("response.create", response=[]), "invalid_value", ("response",)),
    "response nested": (
        event("response.create", response={"metadata": NESTED}),
        "invalid_value",
        ("response", "64 levels"),
    ),
}


@pytest.mark.parametrize(("sent", "code", "named"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_event_is_refused_by_name_and_the_session_goes_on(
    server: System, sent: str, code: str, named: tuple[str, ...]
) -> None:
    async with connected(server.realtime_url) as client:
        await client.socket.send_str(sent)
        error = await client.error()
        assert (error["type"], error["code"]) == ("invalid_request_error", code)
        told = f"{error['message']} {error['param']}"
        assert all(name in told for name in named), told
        assert len(error["message"]) < 600
        await client.update(instructions="Go on.")


async def test_sessions_hold_their_turns_while_another_sends_nonsense(server: System) -> None:
    async with neighbour(server), connected(server.realtime_url) as client:
        for sent, code, _ in REFUSED.values():
            await client.socket.send_str(sent)
            assert (await client.error())["code"] == code
        await assert_usable(client)


HEADER = struct.Struct("<BBBBIQII")
BAD_FRAMES = {
    "empty": (b"", ("0 bytes", "24")),
    "short": (b"\x01\x01", ("2 bytes", "24")),
    "version": (HEADER.pack(9, 1, 1, 0, 0, 0, 16_000, 0), ("version", "9")),
    "kind": (HEADER.pack(1, 7, 1, 0, 0, 0, 16_000, 0), ("kind", "7")),
    "playback": (HEADER.pack(1, 2, 1, 0, 0, 0, 16_000, 0), ("kind", "2")),
    "format": (HEADER.pack(1, 1, 5, 0, 0, 0, 16_000, 0), ("format", "5")),
    "slow rate": (HEADER.pack(1, 1, 1, 0, 0, 0, 1_000, 0), ("sample rate", "1000", "8000")),
    "fast rate": (HEADER.pack(1, 1, 1, 0, 0, 0, 2**32 - 1, 0), ("sample rate", "192000")),
    "odd": (HEADER.pack(1, 1, 1, 0, 0, 0, 16_000, 0) + b"abc", ("3 bytes", "odd")),
    "large": (HEADER.pack(1, 1, 1, 0, 0, 0, 16_000, 0) + bytes(65_536), ("65560", "65536")),
    "noise": (b"\x7f" + random.Random(5).randbytes(5_000), ("version", "127")),
}


@pytest.mark.parametrize(("frame", "named"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_bad_audio_frame_is_refused_by_name_and_the_session_goes_on(
    server: System, frame: bytes, named: tuple[str, ...]
) -> None:
    async with connected(server.realtime_url, extended=True) as client:
        await client.socket.send_bytes(frame)
        error = await client.error()
        assert error["code"] == "invalid_audio_frame"
        assert all(name in error["message"] for name in named), error
        await client.update(instructions="Go on.")


async def test_audio_frames_need_their_subprotocol(server: System) -> None:
    async with neighbour(server), connected(server.realtime_url) as client:
        frame = AudioFrame(FrameKind.MICROPHONE, 0, 0, MIC_HZ, 0, bytes(640)).encode()
        await client.socket.send_bytes(frame)
        error = await client.error()
        assert error["code"] == "invalid_binary_message"
        assert "antiphon.v1" in error["message"]
        await assert_usable(client)


async def test_audio_cut_at_odd_bytes_is_heard_whole(server: System) -> None:
    async with connected(server.realtime_url) as client:
        detection = {"type": "server_vad", "silence_duration_ms": 500}
        await client.update(audio={"input": {"turn_detection": detection}})
        pcm = Resampler(MIC_HZ, OUT_HZ).feed(speech("dog_or_cat") + silence(2.5), last=True)
        for at in range(0, len(pcm), 1_001):
            audio = base64.b64encode(pcm[at : at + 1_001]).decode()
            await client.send("input_audio_buffer.append", audio=audio)
        stopped = await client.event("input_audio_buffer.speech_stopped")
        assert 1_700 < stopped["audio_end_ms"] < 2_500
        await client.done()
        assert len(client.transcripts) == 1


async def test_sounds_that_are_no_speech_begin_no_turn(server: System) -> None:
    clips = ("kitchen", "friction", "syn_white")
    sounds = [read_wav(DATA / "nonspeech" / f"{clip}.wav")[0] for clip in clips]
    async with connected(server.realtime_url) as client:
        for sound in (silence(5), noise(5), *sounds):
            await client.append(sound)
        said_from_ms = sum(len(sound) for sound in (silence(5), noise(5), *sounds)) // 32
        await client.speak("dog_or_cat")
        started = await client.event("input_audio_buffer.speech_started")
        assert started["audio_start_ms"] > said_from_ms - 400
        await client.done()
        assert len(client.transcripts) == 1


async def test_a_truncation_past_the_end_changes_nothing(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.say_text("Speak.")
        [answer] = (await client.done())["output"]
        await client.send(
            "conversation.item.truncate",
            item_id=answer["id"],
            content_index=0,
            audio_end_ms=2**53,
        )
        await client.event("conversation.item.truncated")
        await client.send("conversation.item.retrieve", item_id=answer["id"])
        kept = (await client.event("conversation.item.retrieved"))["item"]
        assert kept["content"][0]["transcript"].strip() == REPLY


async def test_the_largest_append_is_taken_and_a_full_buffer_is_said_to_be_full(
    server: System,
) -> None:
    audio = base64.b64encode(bytes(15 * MIB * 3 // 4)).decode()
    async with neighbour(server), connected(server.realtime_url) as client:
        await client.send("input_audio_buffer.append", audio=audio)
        await client.update(instructions="Go on.")
        await client.push_to_talk()
        await client.send("input_audio_buffer.append", audio=audio)
        error = await client.error()
        assert error["code"] == "input_audio_buffer_full"
        assert "60 s" in error["message"]
        await assert_usable(client)


async def test_a_full_minute_of_push_to_talk_is_transcribed(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.push_to_talk()
        await client.append((speech("dog_or_cat") + silence(60))[: 60 * MIC_HZ * 2])
        await client.send("input_audio_buffer.commit")
        await client.event("conversation.item.input_audio_transcription.completed")
        assert client.transcripts == ["this is a simulated transcript"]


@pytest.mark.parametrize("size_bytes", [17 * MIB, 100 * MIB])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
async def test_a_message_over_16_mib_closes_the_connection(
    server: System, size_bytes: int, binary: bool
) -> None:
    async with neighbour(server), connected(server.realtime_url, extended=True) as client:
        try:
            if binary:
                await client.socket.send_bytes(bytes(size_bytes))
            else:
                await client.socket.send_str(" " * size_bytes)
        except ConnectionError:
            pass
        assert await client.close_code() == 1009


async def test_a_hundred_invalid_messages_in_a_row_close_the_connection(server: System) -> None:
    async with neighbour(server), connected(server.realtime_url) as client:
        for _ in range(99):
            await client.socket.send_str("{")
        await client.send("session.update", session={"type": "realtime"})
        for _ in range(100):
            await client.socket.send_str("{")
        assert await client.close_code() == 1008
        assert len(client.of_type("error")) == 199
        assert len(client.of_type("session.updated")) == 1


async def test_a_client_that_stops_reading_is_disconnected(server: System) -> None:
    def narrow(address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        narrowed = socket.socket(family, kind, protocol)
        narrowed.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        return narrowed

    text = json.loads(message("user", {"type": "input_text", "text": "x" * 60_000}))
    connector = aiohttp.TCPConnector(socket_factory=narrow)
    async with neighbour(server), aiohttp.ClientSession(connector=connector) as http:
        open_before = sessions_open(server)
        async with http.ws_connect(server.realtime_url) as reader:
            await reader.receive()
            deadline = asyncio.get_running_loop().time() + 20
            while sessions_open(server) > open_before:
                assert asyncio.get_running_loop().time() < deadline, "it is still connected"
                try:
                    await asyncio.wait_for(reader.send_json(text), 1)
                except (TimeoutError, ConnectionError):
                    await asyncio.sleep(0.2)


def sessions_open(server: System) -> int:
    """Return how many sessions the gateway's log has seen opened and not closed."""
    names = [entry["event"] for entry in server.events("gateway")]
    return names.count("session opened") - names.count("session closed")
