"""Decoder processes as the gateway sees them: files, limits, crashes."""

import asyncio
import signal

import pytest
from encoded_speech import FILES, chunks, encode
from system_client import SPEECH, speech

from antiphon_gateway.decoders import Decoder, Decoders, DecodingFailed

RECORDING = SPEECH / "what_time_is_it.wav"
WEBM = "audio/webm;codecs=opus"


async def pcm_of(decoder: Decoder) -> bytes:
    pcm = bytearray()
    while (part := await decoder.receive()) is not None:
        pcm += part
    return bytes(pcm)


@pytest.mark.parametrize("mime_type", FILES)
async def test_whole_files_are_decoded(mime_type: str) -> None:
    decoders = Decoders(1)
    pcm = await decoders.decode(encode(RECORDING, mime_type), mime_type, max_s=60)
    assert len(pcm) == pytest.approx(len(speech("what_time_is_it")), abs=3_200)
    assert decoders.running == 0


async def test_a_file_that_is_too_long_or_damaged_is_refused_with_the_reason() -> None:
    decoders = Decoders(1)
    encoded = encode(RECORDING, "audio/flac")
    with pytest.raises(DecodingFailed, match="longer than 1 s") as too_long:
        await decoders.decode(encoded, "audio/flac", max_s=1)
    assert too_long.value.code == "invalid_encoded_audio"
    with pytest.raises(DecodingFailed, match="could not be decoded"):
        await decoders.decode(b"not audio" * 1_000, "audio/mp4", max_s=60)
    assert decoders.running == 0


async def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DecodingFailed, match=r"'text/html'.*audio/mp4, audio/mpeg") as refused:
        async with Decoders(1).open("text/html; charset=utf-8"):
            pass
    assert refused.value.code == "unsupported_audio_type"


async def test_no_more_decoders_run_than_allowed() -> None:
    decoders = Decoders(1)
    async with decoders.open(WEBM):
        with pytest.raises(DecodingFailed, match=r"gateway\.max_decoders") as refused:
            async with decoders.open(WEBM):
                pass
        assert refused.value.code == "decoders_busy"
    async with decoders.open(WEBM) as decoder:
        decoder.end()
        assert await pcm_of(decoder) == b""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_a_crash_of_the_decoder_is_an_error_of_its_stream(number: signal.Signals) -> None:
    decoders = Decoders(2)
    async with decoders.open(WEBM) as decoder:
        pieces = list(chunks(encode(RECORDING, WEBM), 20))
        for piece in pieces[:10]:
            decoder.write(piece)
        while not decoder.consumed_bytes:
            assert await decoder.receive() is not None
        decoder._process.send_signal(number)
        with pytest.raises(DecodingFailed, match="the decoder was stopped") as failed:
            await pcm_of(decoder)
        assert failed.value.code == "decoder_failed"
        decoder.write(pieces[11])  # to nobody


async def test_a_decoder_that_is_given_up_is_gone() -> None:
    decoders = Decoders(1)
    async with decoders.open(WEBM) as decoder:
        process = decoder._process
        await asyncio.wait_for(decoder.receive(), 10)
    assert process.returncode == -signal.SIGKILL
    assert decoders.running == 0
