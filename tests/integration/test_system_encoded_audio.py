"""Speech as MediaRecorder sends it: understood; and what is wrong with it harms nobody."""

import itertools
import logging
from collections import Counter

import pytest
from damaged_streams import damaged_streams
from encoded_speech import STREAMS, chunks, encode
from system import System, children
from system_client import SPEECH, Client, connected, word_errors

from antiphon_proto.frames import EncodedFrame

pytestmark = [pytest.mark.integration, pytest.mark.models]

logger = logging.getLogger(__name__)

RECORDING = SPEECH / "what_time_is_it.wav"
WORDS = "what time is it"


async def send_stream(client: Client, packets: list[bytes]) -> None:
    for seq, packet in enumerate(packets):
        await client.socket.send_bytes(EncodedFrame(seq, seq * 100_000, packet).encode())


@pytest.mark.parametrize("mime_type", STREAMS)
async def test_push_to_talk_commits_every_word_of_a_compressed_stream(
    embedded_system: System, mime_type: str
) -> None:
    async with connected(embedded_system.realtime_url, extended=True) as client:
        await client.push_to_talk()
        await client.send("antiphon.encoded_audio.start", mime_type=mime_type)
        await send_stream(client, list(chunks(encode(RECORDING, mime_type), 18)))
        await client.send("antiphon.encoded_audio.stop")
        await client.send("input_audio_buffer.commit")
        await client.event("conversation.item.input_audio_transcription.completed")
        assert word_errors([WORDS], client.transcripts) == 0


async def test_the_end_of_a_compressed_turn_is_heard(embedded_system: System) -> None:
    mime_type = "audio/webm;codecs=opus"
    async with connected(embedded_system.realtime_url, extended=True) as client:
        await client.text_only()
        await client.send("antiphon.encoded_audio.start", mime_type=mime_type)
        await send_stream(client, list(chunks(encode(RECORDING, mime_type), 18)))
        await client.send("antiphon.encoded_audio.stop")
        await client.append(bytes(2 * 16_000 * 2))  # plain audio goes on where it ended
        await client.done()
        assert word_errors([WORDS], client.transcripts) == 0


async def test_errors_name_what_is_wrong(embedded_system: System) -> None:
    async with connected(embedded_system.realtime_url, extended=True) as client:
        await send_stream(client, [b"early"])
        assert (await client.error())["code"] == "encoded_audio_not_started"
        await client.send("antiphon.encoded_audio.start", mime_type="video/quicktime")
        error = await client.error()
        assert error["code"] == "unsupported_audio_type"
        assert "audio/webm" in error["message"]
        await send_stream(client, [b"of a stream that was refused"] * 3)
        await client.send("antiphon.encoded_audio.start", mime_type="audio/mp4")
        await send_stream(client, [b"no sound at all" * 100])
        await client.send("antiphon.encoded_audio.stop")
        assert (await client.error())["code"] == "invalid_encoded_audio"
        for _ in range(10):
            await client.send("antiphon.encoded_audio.start", mime_type="audio/webm")
        assert (await client.error())["code"] == "invalid_value"


async def test_damaged_packets_harm_nobody(
    embedded_system: System, request: pytest.FixtureRequest
) -> None:
    """`make fuzz-decoder` sends 10,000 of them."""
    count = max(1, request.config.getoption("--damaged-packets") // 25)
    streams = damaged_streams(RECORDING, count, seed=7)
    outcomes: Counter[str] = Counter()
    while batch := list(itertools.islice(streams, 8)):
        async with connected(embedded_system.realtime_url, extended=True) as client:
            await client.push_to_talk()
            for mime_type, packets in batch:
                await client.send("antiphon.encoded_audio.start", mime_type=mime_type)
                await send_stream(client, packets)
                await client.send("antiphon.encoded_audio.stop")
                await client.send("input_audio_buffer.clear")
                while (await client.receive())["type"] != "input_audio_buffer.cleared":
                    pass
            outcomes["streams"] += len(batch)
            outcomes.update(event["error"]["code"] for event in client.of_type("error"))
    logger.info("%s", dict(outcomes))
    assert outcomes["streams"] == count
    assert set(outcomes) <= {"streams", "invalid_encoded_audio", "decoder_failed"}
    assert children(embedded_system.pid("gateway")) == []
    assert embedded_system.is_ready()
    embedded_system.assert_no_traceback()
