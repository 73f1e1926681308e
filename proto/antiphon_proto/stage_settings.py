"""The settings of the stages: what runs each of them, and how. The others are in `settings`."""

import os
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from antiphon_proto.setting_types import Count, Milliseconds, Section


class Stt(Section, frozen=True, kw_only=True):
    """Speech to text."""

    engine: str = "faster-whisper"
    model: str = "tiny.en"
    """A name of the model manifest, a local directory, or a hub name."""
    device: str = "cpu"
    compute_type: str = "int8"
    threads: Count = 1
    """Of each job; a second one gains nothing on speech of some seconds."""
    encoder_window: str = "spliced"
    """`spliced`: encode the speech only; `padded`: Whisper's usual 30 s."""
    silence_ms: Annotated[int, msgspec.Meta(ge=0, le=30_000)] = 0
    """`spliced`: encoded silence put behind the speech; 0: what the model needs."""
    language: str = ""
    """ISO 639-1 code that every session starts with; empty: the engine decides."""
    turn_end_model: str = "smart-turn"
    """Hears the end of a turn; a name of the model manifest or a path; empty: none."""
    processes: Count = 1
    slots: Count = 2
    """Transcripts made side by side; the end-of-turn model has one more of its own."""
    batch: Count = 1
    """Transcripts made in one pass of the model, at most `slots`. A graphics card wants 16; a
    processor gains nothing, because a pass encodes every clip as long as its longest."""
    batch_wait_ms: Milliseconds = 0
    """How long an idle model waits for more than the first transcript of a pass."""


class Llm(Section, frozen=True, kw_only=True):
    """The language model."""

    engine: str = "llamacpp"
    model: str = "smollm2-135m"
    """`llamacpp`: a name of the model manifest or the path of a GGUF file. `ollama`, `openai`: the
    server's name for it; of `openai` empty: the first one that it offers."""
    url: str = ""
    """Where the server of `ollama` or `openai` is; empty: $OLLAMA_HOST or http://127.0.0.1:11434,
    $OPENAI_BASE_URL or http://127.0.0.1:8000/v1."""
    api_key_file: str = ""
    """`openai`: file with the server's key; empty: $OPENAI_API_KEY, which goes over https or to
    this machine alone."""
    find_servers: bool = True
    """Let `antiphon up`, `antiphon models list` and the page of this machine's own user ask on this
    machine, half a second at most, for servers of language models."""
    keep_alive: Annotated[str, msgspec.Meta(pattern=r"^(-?\d+|(\d+(\.\d+)?(ms|s|m|h))+)$")] = "30m"
    """`ollama`: how long the server keeps the model loaded after an answer, such as `30m` or `24h`;
    `-1`: for ever."""
    requantize: Literal["q4_0", ""] = "q4_0"
    """Q4_1 weights of a manifest model are made Q4_0 once, in a second file of the model cache,
    which processors read prompts faster with; empty: the file is loaded as it is."""
    instructions: str = "You are a helpful assistant. Answer in one short sentence."
    """System prompt of a session that brings none."""
    context_tokens: Annotated[int, msgspec.Meta(ge=256)] = 2048
    """Context of one conversation."""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 200
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 0.3
    repeat_penalty: Annotated[float, msgspec.Meta(ge=1.0, le=2.0)] = 1.05
    """Makes words of the conversation so far less likely, 1.0 does not; small models repeat
    themselves without it."""
    threads: Count = 2
    """Threads that read the prompt."""
    generation_threads: Count = 1
    """Threads that write the answer. They wait for each other at every layer: more are faster only
    for a large model on a machine with idle cores."""
    flash_attention: bool = False
    """On a processor it reads a long conversation more slowly than plain attention."""
    key_type: Literal["q8_0", "f16"] = "q8_0"
    """How the keys of the conversation are kept; `q8_0` is compared with faster."""
    batch_tokens: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 64
    """Tokens of a prompt that are read at once. Meanwhile no other answer goes on, so on a
    processor few are better; a graphics card wants 512 or more."""
    processes: Count = 1
    slots: Count = 4

    @property
    def ollama_url(self) -> str:
        """Where Ollama is."""
        host = self.url or os.environ.get("OLLAMA_HOST") or "127.0.0.1"
        scheme, _, rest = host.rpartition("://")
        host, slash, path = rest.partition("/")
        if not re.search(r":\d+$", host) and not scheme:
            host += ":11434"
        # A server's own bind address is no address to connect to.
        host = re.sub(r"^(0\.0\.0\.0)?(?=:\d+$)", "127.0.0.1", host)
        return f"{scheme or 'http'}://{host}{slash}{path}".rstrip("/")

    @property
    def openai_url(self) -> str:
        """Base address of the OpenAI-compatible server, which ends in `/v1` as a rule."""
        return (self.url or os.environ.get("OPENAI_BASE_URL") or "http://127.0.0.1:8000/v1").rstrip(
            "/"
        )

    @property
    def openai_key(self) -> str:
        """The key of the environment; empty where it would cross a network in the clear."""
        here = urlsplit(self.openai_url).hostname in ("127.0.0.1", "::1", "localhost")
        safe = here or self.openai_url.startswith("https://")
        return os.environ.get("OPENAI_API_KEY", "") if safe else ""


def public_name(model: str) -> str:
    """Return a model's name without the directories of this machine."""
    return model.rstrip("/").rpartition("/")[2].removesuffix(".gguf").removesuffix(".onnx")


class Tts(Section, frozen=True, kw_only=True):
    """Text to speech."""

    engine: str = "piper"
    model: str = "en_US-joe-medium"
    """`piper`: a name of the model manifest or the path of a voice. `coqui`: a directory with
    `config.json` and its checkpoint, or a name such as `tts_models/en/vctk/vits`."""
    voices: tuple[str, ...] = ()
    """Speakers of a model with many that clients may choose, the first unless they do; empty: the
    model is the one voice."""
    language: str = ""
    """What is spoken by a model of many languages unless a session asks for another of them, or by
    one that does not tell, such as `de`; empty: English or the model's first, or not known."""
    device: str = "cpu"
    """`coqui`: `cpu` or `cuda`."""
    gpu_memory_mib: Annotated[int, msgspec.Meta(ge=0)] = 0
    """`coqui` on a card: loading and speaking fail rather than take more of its memory; 0: no
    limit. A topology's `gpu_memory_mib` sets it."""
    cloning_dir: str = ""
    """`coqui`: directory of recordings NAME.wav, each a voice that may be spoken with as `NAME`; of
    people who agreed. Empty: no voice is cloned."""
    streaming: bool = True
    """Hand out a clause's speech while the rest of it is made."""
    trim_lead: bool = True
    """Cut the near-silence before the first sound of a clause."""
    first_clause_words: Count = 3
    """Words after which a reply's first clause may end without a mark, at a natural pause."""
    hurry: bool = True
    """Cut later sentences in parts while the listener has little audio left."""
    sentence_context: bool = True
    """Speak a part of a sentence with the intonation it has within the sentence."""
    threads: Count = 2
    processes: Count = 1
    slots: Count = 8
    """Clauses that may be under way. `piper`: at most four of them make a piece of their speech at
    a time, those whose listeners have least left to hear. `coqui`: always 1."""

    @property
    def names(self) -> tuple[str, ...]:
        """The voices as clients know them, the default first."""
        return self.voices or (public_name(self.model),)


class Simulated(Section, frozen=True, kw_only=True):
    """What the `simulated` engines do; they serve tests of load and faults."""

    load_ms: Milliseconds = 0
    transcript: str = "this is a simulated transcript"
    stt_ms: Milliseconds = 50
    stt_batched_ms: Milliseconds = 5
    """What each further transcript of a batch adds to it."""
    reply: str = "This is a simulated reply. It has two sentences."
    """`{heard}` in it stands for the last message of the user."""
    call_arguments: str = ""
    """JSON object with which the first function offered is called after each user message; empty:
    none is called, or with `{}` where one must be."""
    llm_first_token_ms: Milliseconds = 30
    llm_token_ms: Milliseconds = 5
    tts_first_audio_ms: Milliseconds = 30
    tts_real_time_factor: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 0.1
    tts_chunk_ms: Milliseconds = 100
    tone_hz: Annotated[int, msgspec.Meta(ge=0, le=8_000)] = 0
    """Pitch of the tone that stands for speech; 0: another one for each clause."""
    step_limit_ms: Milliseconds = 0
    """A worker that stands still for so long ends itself; 0: the usual limit."""
    hang_text: str = ""
    """A clause with this text makes the voice hang for ever at its first attempt; empty: none."""
