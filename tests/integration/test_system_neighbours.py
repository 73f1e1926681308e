"""Models, transcriptions, speech and chat, through the stock `openai` package and raw sockets."""

import io
import json
import socket
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import openai
import pytest
from openai import OpenAI
from system import GATEWAY, System, children, running_system
from system_client import SPEECH, word_errors
from system_ears import Ears

from antiphon_proto.audio import read_wav, wav_bytes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

REPLY = "One two three four. Five six END seven eight."
KEY = "sk-test"
BRIEF: Any = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}
SETTINGS = {
    "stt.engine": "simulated",
    "llm.engine": "simulated",
    "tts.engine": "simulated",
    "simulated.reply": REPLY,
    "simulated.llm_token_ms": 20,
    "gateway.api_keys": KEY,
    "gateway.max_requests_per_client": 2,
}


@pytest.fixture(scope="module")
def simulated() -> Iterator[System]:
    with running_system(SETTINGS) as server:
        yield server
        server.assert_no_traceback()


@pytest.fixture
def client(simulated: System) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{simulated.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def real(embedded_system: System) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{embedded_system.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def asking(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def idle(server: System) -> bool:
    """Tell whether no stage has anything to do."""
    answer = server.get("/v1/status", {"Authorization": f"Bearer {KEY}"})
    assert answer is not None
    stages = answer.json()["stages"].values()
    return not any(worker["outstanding"] for stage in stages for worker in stage["workers"])


# --- with the embedded models ----------------------------------------------------------------


@pytest.mark.models
def test_the_models_are_listed_and_openais_names_stand_for_them(real: OpenAI) -> None:
    assert [model.id for model in real.models.list()] == [
        "smollm2-135m",
        "tiny.en",
        "en_US-joe-medium",
    ]
    assert real.models.retrieve("tiny.en").id == "tiny.en"
    meant = real.models.retrieve("gpt-4o-mini-transcribe")
    assert (meant.id, meant.model_extra) == ("gpt-4o-mini-transcribe", {"root": "tiny.en"})
    with pytest.raises(openai.NotFoundError, match="no model 'llama'"):
        real.models.retrieve("llama")


@pytest.mark.models
def test_a_file_is_transcribed(real: OpenAI) -> None:
    with (SPEECH / "dog_or_cat.wav").open("rb") as file:
        found = real.audio.transcriptions.create(model="whisper-1", file=file)
    assert word_errors("should i get a dog or a cat", found.text) <= 0.25
    assert found.usage is not None
    assert found.usage.type == "duration"


@pytest.mark.models
def test_a_long_file_is_cut_at_its_silences_and_streamed(real: OpenAI) -> None:
    said = ("what_time_is_it", "dog_or_cat", "turn_on_lamp")
    pcm = b"".join(read_wav(SPEECH / f"{name}.wav")[0] + bytes(2 * 16_000 * 3) for name in said)
    file = ("said.wav", wav_bytes(pcm, 16_000))
    deltas: list[str] = []
    whole = ""
    for event in real.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=file, stream=True
    ):
        if event.type == "transcript.text.delta":
            deltas.append(event.delta)
        elif event.type == "transcript.text.done":
            whole = event.text
    assert len(deltas) == 3
    assert "".join(deltas) == whole
    assert "time" in deltas[0].lower()
    found = real.audio.transcriptions.create(
        model="whisper-1", file=file, response_format="verbose_json"
    )
    assert found.text == whole
    assert found.segments is not None
    assert [segment.text for segment in found.segments] == [delta.strip() for delta in deltas]
    times = [(segment.start, segment.end) for segment in found.segments]
    assert times == sorted(times)
    captions = real.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt")
    assert str(captions).count(" --> ") == 3


@pytest.mark.models
def test_a_text_is_said(real: OpenAI, ears: Ears) -> None:
    text = "The quick brown fox jumps over the lazy dog. It was a fine day."
    with real.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, response_format="wav"
    ) as response:
        spoken = b"".join(response.iter_bytes())
    with wave.open(io.BytesIO(spoken)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (24_000, 1, 2)
    heard = ears.hear(spoken[44:], 24_000)
    assert word_errors(text.lower(), heard) <= 0.34


@pytest.mark.parametrize("wanted", ["mp3", "opus", "aac", "flac"])
def test_speech_is_encoded_as_it_is_asked_for(client: OpenAI, wanted: Any) -> None:
    text = "Hello there. How are you?"
    plain = client.audio.speech.create(
        model="tts-1", voice="alloy", input=text, response_format="pcm"
    ).content
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, response_format=wanted
    ) as response:
        encoded = b"".join(response.iter_bytes())
    with av.open(io.BytesIO(encoded)) as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert seconds == pytest.approx(len(plain) / 48_000, abs=0.15)
    assert len(encoded) < len(plain)


@pytest.mark.models
def test_a_chat_ends_before_a_stop_string_and_is_counted(real: OpenAI) -> None:
    def ask(**more: Any) -> Any:
        return real.chat.completions.create(
            model="gpt-4o-mini",
            messages=asking("Tell me about the sea."),
            temperature=0.0,
            max_tokens=16,
            **more,
        )

    whole = ask()
    text = whole.choices[0].message.content
    assert whole.model == "smollm2-135m"
    assert whole.usage.completion_tokens <= 16
    assert whole.usage.prompt_tokens > 5
    stop = text.split()[2]
    cut = ask(stop=[stop])
    assert cut.choices[0].message.content == text.partition(stop)[0]
    assert cut.choices[0].finish_reason == "stop"
    assert cut.usage.completion_tokens < whole.usage.completion_tokens


# --- forms, refusals, bounds: simulated engines -----------------------------------------------


def test_a_chat_is_streamed_word_by_word(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="any",
            messages=[BRIEF, *asking("Hello")],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    parts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(part or "" for part in parts) == REPLY
    assert len(parts) > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(REPLY.split())


def test_a_stop_string_is_honoured_for_an_engine_that_does_not_know_it(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="any", messages=asking("Hello"), stop="END")
    assert answer.choices[0].message.content == "One two three four. Five six "
    limited = client.chat.completions.create(model="any", messages=asking("Hello"), max_tokens=2)
    assert limited.choices[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"temperature": 3}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": ""}]}, "messages[0].role"),
        (
            {"messages": [{"role": "tool", "content": "", "tool_call_id": "1"}]},
            "messages[0].tool_call_id",
        ),
    ],
)
def test_what_a_chat_cannot_be_is_refused_with_its_field(
    client: OpenAI, more: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**{"model": "any", "messages": asking("Hello"), **more})
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"


def test_speech_comes_as_pcm_and_as_events(client: OpenAI) -> None:
    asked: Any = {"model": "tts-1", "voice": "nova", "input": "Hello there. How are you?"}
    spoken = client.audio.speech.create(**asked, response_format="pcm", speed=2.0).content
    slower = client.audio.speech.create(**asked, response_format="pcm", speed=1.0).content
    assert len(spoken) % 2 == 0
    assert len(slower) / len(spoken) == pytest.approx(2.0, rel=0.05)
    with client.audio.speech.with_streaming_response.create(
        **asked, response_format="pcm", stream_format="sse"
    ) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line]
    assert [event["type"] for event in events[-2:]] == ["speech.audio.delta", "speech.audio.done"]
    with pytest.raises(openai.BadRequestError, match="length <= 4096") as refused:
        client.audio.speech.create(**{**asked, "input": "a" * 5_000})
    assert refused.value.param == "input"


@pytest.mark.models
def test_compressed_files_are_transcribed(real: OpenAI, tmp_path: Path) -> None:
    for suffix, codec in (("mp3", "mp3"), ("ogg", "libopus"), ("flac", "flac"), ("m4a", "aac")):
        path = tmp_path / f"said.{suffix}"
        encode(SPEECH / "dog_or_cat.wav", path, codec)
        found = real.audio.transcriptions.create(model="whisper-1", file=path)
        assert word_errors("should i get a dog or a cat", found.text) <= 0.25, suffix


def encode(source: Path, target: Path, codec: str) -> None:
    """Write a WAV file in another format."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        rate_hz = 48_000 if codec == "libopus" else 16_000
        stream = written.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for frame in read.decode(audio=0):
            written.mux(stream.encode(frame))
        written.mux(stream.encode(None))


def test_a_file_that_is_no_sound_is_refused(client: OpenAI) -> None:
    for content in (b"", b"RIFF", b"not a sound" * 100, wav_bytes(b"", 16_000)[:30]):
        with pytest.raises(openai.BadRequestError) as refused:
            client.audio.transcriptions.create(model="whisper-1", file=("a.wav", content))
        assert refused.value.param == "file"
    nothing = client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", wav_bytes(bytes(64_000), 16_000))
    )
    assert nothing.text == ""


def test_a_file_over_the_limit_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(26 << 20)))
    assert (refused.value.status_code, refused.value.code) == (413, "file_too_large")


def test_strangers_are_refused_in_openais_form(simulated: System) -> None:
    with (
        OpenAI(base_url=f"{simulated.url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.models.list()
    assert refused.value.code == "invalid_api_key"
    foreign = {"Authorization": f"Bearer {KEY}", "Origin": "https://elsewhere.example"}
    answer = simulated.get("/v1/models", foreign)
    assert answer is not None
    assert answer.status == 403


def open_chat(server: System) -> socket.socket:
    """Ask for a chat on a connection of one's own, and read nothing."""
    body = json.dumps({"model": "any", "messages": asking("Hello"), "stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_leaves_ends_its_job_and_gives_its_place_back() -> None:
    slow = {**SETTINGS, "simulated.llm_first_token_ms": 60_000}
    with running_system(slow) as server:
        waiting = [open_chat(server), open_chat(server)]
        server.wait_for(lambda: not idle(server), 10)
        with OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0) as client:
            server.wait_for(lambda: _is_full(client), 10)
            for connection in waiting:
                connection.close()
            server.wait_for(lambda: idle(server), 10)
            started_s = time.monotonic()
            assert client.models.list().data
            assert time.monotonic() - started_s < 30
        server.assert_no_traceback()


@contextmanager
def speech_unread(server: System, wanted: str) -> Iterator[socket.socket]:
    """Ask for 85 s of speech, more than all buffers hold, on a connection of one's own."""
    asked = {"model": "tts-1", "voice": "alloy", "input": "Hello there. " * 100}
    body = json.dumps({**asked, "response_format": wanted}).encode()
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.settimeout(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(head.encode() + body)
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


@pytest.mark.parametrize("wanted", ["pcm", "mp3"])
def test_who_reads_nothing_of_an_answer_is_cut_off_and_who_reads_slowly_is_not(
    wanted: str,
) -> None:
    impatient = {"gateway.unread_timeout_s": 2.0, "simulated.tts_real_time_factor": 0.0}
    with (
        running_system({**SETTINGS, **impatient}) as server,
        speech_unread(server, wanted) as slow,
        speech_unread(server, wanted) as deaf,
        OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        server.wait_for(lambda: _is_full(client), 10)
        heard = bytearray()
        deadline_s = time.monotonic() + 30
        while "it does not read its answer" not in server.log(GATEWAY):
            assert time.monotonic() < deadline_s
            heard += slow.recv(16 * 1024)
            time.sleep(0.05)  # reading slowly is what is tested
        server.wait_for(lambda: not _is_full(client), 10)
        with pytest.raises(ConnectionResetError):
            rest_of(deaf)
        heard += rest_of(slow)
        assert heard.endswith(b"\r\n0\r\n\r\n")
        server.wait_for(lambda: idle(server) and not children(server.pid(GATEWAY)), 10)
        server.assert_no_traceback()


def test_a_client_that_leaves_in_the_middle_of_speech_leaves_nothing_behind(
    simulated: System, client: OpenAI
) -> None:
    for wanted in ("pcm", "mp3"):
        asked: Any = {"model": "tts-1", "voice": "alloy", "response_format": wanted}
        with client.audio.speech.with_streaming_response.create(
            **asked, input="Hello there. " * 300
        ) as response:
            assert next(response.iter_bytes(1_000))
        simulated.wait_for(lambda: idle(simulated), 10)
    simulated.wait_for(lambda: not children(simulated.pid(GATEWAY)), 10)


def _is_full(client: OpenAI) -> bool:
    try:
        client.models.list()
    except openai.RateLimitError as refused:
        return refused.response.headers["Retry-After"] == "5"
    return False
