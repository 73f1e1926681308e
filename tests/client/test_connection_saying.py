"""What a program says through `Connection.say` and `Connection.send_text`."""

from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon_proto.audio import write_wav

LOUD = b"\x00\x10" * 1_600


async def test_a_recording_is_said_in_real_time_and_silence_follows(serve: Any, tmp_path: Path):
    peers = []

    async def script(peer):
        peers.append(peer)
        while len(peer.frames) < 10:
            await peer.receive()
        await peer.send("done")
        await peer.until_left()

    path = tmp_path / "said.wav"
    write_wav(path, LOUD, 16_000)
    async with antiphon.connect(await serve(script)) as talk:
        await talk.say(str(path))
        await talk.receive()
    sent = b"".join(frame.pcm for frame in peers[0].frames)
    assert sent.startswith(LOUD)
    assert not any(sent[len(LOUD) :])
    assert len(sent) > len(LOUD)


async def test_a_text_is_an_item_and_a_response_is_asked_for(serve: Any):
    asked = []

    async def script(peer):
        asked.append((await peer.receive_event("conversation.item.create"))["item"])
        asked.append(await peer.receive_event("response.create"))
        await peer.send("done")
        await peer.until_left()

    async with antiphon.connect(await serve(script)) as talk:
        await talk.send_text("Hello.")
        await talk.receive()
    assert asked[0]["content"] == [{"type": "input_text", "text": "Hello."}]
    assert len(asked) == 2


async def test_saying_ends_when_nobody_listens_any_more(serve: Any):
    async def script(peer):
        await peer.receive()

    async with antiphon.connect(await serve(script)) as talk:
        await talk.say(LOUD * 600, 16_000)
        await talk.say(LOUD, 16_000)
        with pytest.raises(antiphon.ConnectionClosed):
            await talk.receive()


def test_what_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        antiphon.nonsense  # noqa: B018
    assert antiphon.events.KINDS
