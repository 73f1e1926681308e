"""Every setting, its default, its limits and what it means; `config` loads them."""

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from antiphon_proto.messages import Stage
from antiphon_proto.setting_types import (
    Count,
    Milliseconds,
    Name,
    Port,
    Probability,
    Seconds,
    Section,
    SessionLimit,
)
from antiphon_proto.stage_settings import Llm, Simulated, Stt, Tts


class Gateway(Section, frozen=True, kw_only=True):
    """The process that clients connect to."""

    host: str = "127.0.0.1"
    port: Port = 8080
    name: Name = "gateway-0"
    """What workers call it; unique among the gateways that share workers."""
    processes: Count = 1
    """Gateways on the same port, which need `bus.dispatcher=process`. Of several, the first is
    `gateway-0` and also has the port after it to itself, the second the one after that."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may connect, for example `https://home.example`."""
    api_keys: tuple[str, ...] = ()
    """Keys that clients must present; none on loopback means that any key is accepted."""
    tls_certificate: str = ""
    """PEM file of certificate and chain; with `tls_key` the gateway speaks https and wss."""
    tls_key: str = ""
    """PEM file of the private key."""
    behind_proxy: bool = False
    """A reverse proxy ends TLS and adds X-Forwarded-For; believe its last entry."""
    max_sessions: Count = 64
    max_sessions_per_address: SessionLimit = 16
    """Of one IPv4 address or IPv6 /64 network; 0: no limit. Does not count on loopback."""
    max_sessions_per_key: SessionLimit = 0
    """Of one entry of `api_keys`; 0: no limit."""
    max_requests: Count = 32
    """HTTP requests that workers serve at once; such a request is no session."""
    max_requests_per_client: SessionLimit = 8
    """Of one address, as for sessions, and of one entry of `api_keys`; 0: no limit."""
    admission_queue_wait_ms: Milliseconds = 2_000
    """No new session while urgent jobs of a stage wait longer than this (p95); 0: no such limit."""
    handshake_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600.0)] = 10.0
    """A network connection without a request for so long is closed."""
    unread_timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600.0)] = 60.0
    """A client that takes nothing of the answer that waits for it so long is cut off."""
    idle_timeout_s: Seconds = 1800.0
    """A session that hears and says nothing for so long is closed; 0: never."""
    audio_rate: Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)] = 1.5
    """How many times faster than real time a client may send audio for long; 0: no limit."""
    audio_burst_s: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 60.0
    """Audio that a client may send at once before `audio_rate` counts."""
    message_rate: Annotated[float, msgspec.Meta(ge=0.0, le=100_000.0)] = 50.0
    """Messages other than audio, a second, that are taken of a client for long; 0: no limit."""
    message_burst: Annotated[float, msgspec.Meta(ge=1.0, le=1_000_000.0)] = 2_000.0
    """So many may come at once before `message_rate` counts: a long conversation is restored."""
    resume_s: Seconds = 60.0
    """A session whose connection was lost waits so long for its client to come back; 0: never."""
    max_decoders: Count = 16
    """Streams and files of compressed audio decoded at a time, each in a process of its own."""
    drain_s: Seconds = 10.0
    """When told to stop: how long a session in a turn may finish it; others are closed at once."""


class Lan(Section, frozen=True, kw_only=True):
    """A second listener, for other devices of the local network: https and wss, always with a key.

    `antiphon up --lan` sets all of this by itself; `http://localhost` stays as it is.
    """

    addresses: tuple[str, ...] = ()
    """Addresses of this machine to listen on; none: no such listener."""
    port: Port = 8443
    api_keys: tuple[str, ...] = ()
    """Keys that are good here, besides those of `gateway.api_keys`."""
    tls_certificate: str = ""
    """PEM file of certificate and chain."""
    tls_key: str = ""
    """PEM file of the private key."""
    directory: str = ""
    """Where `antiphon up --lan` keeps certificate and keys; empty: $XDG_DATA_HOME/antiphon/lan or
    ~/.local/share/antiphon/lan."""

    @property
    def keeping_place(self) -> Path:
        """The directory in effect."""
        if self.directory:
            return Path(self.directory)
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(base) / "antiphon" / "lan"


class Bus(Section, frozen=True, kw_only=True):
    """Where the processes meet."""

    runtime_dir: str = ""
    """Private directory of the sockets; empty: $XDG_RUNTIME_DIR/antiphon or /tmp/antiphon-UID."""
    dispatcher: Literal["embedded", "process"] = "embedded"
    """Where jobs meet workers: in the gateway, or in a process that several gateways share."""
    address: str = ""
    """`tcp://HOST:PORT` where gateways and dispatcher listen for workers of other machines, on that
    port and the next ones; empty: sockets in `runtime_dir`. A HOST that begins with `{name}`, such
    as `{name}.antiphon`, is one for each of them: gateway-0.antiphon, dispatcher.antiphon."""
    listen_host: str = ""
    """With `address`: what gateways and dispatcher bind, such as 0.0.0.0; empty: its HOST."""
    worker_host: str = "127.0.0.1"
    """With `address`: where a worker listens for its jobs."""
    key_dir: str = ""
    """With `address`: directory of the keys of those who may connect (`antiphon keys`); empty:
    anybody may, which is refused where others could."""
    key_file: str = ""
    """With `key_dir`: file of this process's own pair; empty: NAME.key_secret in `key_dir`."""

    @property
    def directory(self) -> Path:
        """The runtime directory in effect."""
        if self.runtime_dir:
            return Path(self.runtime_dir)
        if base := os.environ.get("XDG_RUNTIME_DIR"):
            return Path(base) / "antiphon"
        return Path(tempfile.gettempdir()) / f"antiphon-{os.getuid()}"


class Models(Section, frozen=True, kw_only=True):
    """Where model files are kept."""

    cache_dir: str = ""
    """Empty: $XDG_CACHE_HOME/antiphon/models or ~/.cache/antiphon/models."""
    hub_url: str = "https://huggingface.co"
    """Where `antiphon models pull` fetches the manifest's larger language models; a mirror has the
    same files, which are checked by their sums."""

    @property
    def directory(self) -> Path:
        """The model directory in effect."""
        if self.cache_dir:
            return Path(self.cache_dir)
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "antiphon" / "models"


class TurnTaking(Section, frozen=True, kw_only=True):
    """When the user speaks, has paused, has ended, and interrupts."""

    detector: Literal["silero", "loudness"] = "silero"
    """What tells speech from other sound; `loudness` needs no model and takes any noise for it."""
    speech_threshold: Probability = 0.5
    min_speech_ms: Milliseconds = 96
    """Shorter speech is noise."""
    barge_in_speech_ms: Milliseconds = 250
    """Speech needed to interrupt a response; shorter speech over it is noise."""
    interruption_words: bool = True
    """Let words decide whether speech over a response interrupts it: `uh-huh` does not. Off: speech
    interrupts after `barge_in_speech_ms`."""
    interruption_patience_ms: Milliseconds = 450
    """Speech over a response that interrupts it when its words are not known by then."""
    ducked_patience_ms: Milliseconds = 700
    """The same while the client plays the response quietly, where a wait hurts less."""
    duck: bool = True
    """Lower an audible response until it is decided whether it is interrupted."""
    overlap_speech_ms: Milliseconds = 32
    """Speech over a response that lowers it; what may interrupt it is judged, so less is enough."""
    overlap_margin: Probability = 0.2
    """How much less sure the detector may be of its first sound than of other speech."""
    pause_after_ms: Milliseconds = 128
    """Speech after which a lowered response is paused until that is decided; it then goes on from
    the same sample or ends; at most 64 where `retraction_ms` holds. 0: it goes on quietly."""
    echo_check: bool = True
    """Do not let a response be interrupted by itself, heard through the microphone."""
    retraction_ms: Milliseconds = 700
    """An answer that was heard no longer than this when the user goes on was too early: it is taken
    back, and what was said before and after is one turn. 0: never."""
    resume_speech_ms: Milliseconds = 160
    """Speech after a pause that voids what was prepared for the end of the turn."""
    eager_silence_ms: Milliseconds = 32
    """Silence after which the final transcript is made, ahead of the endpointing decision."""
    partial_as_final: bool = True
    """Take a partial transcript that covers the speech for the final one."""
    partial_when_quiet: bool = True
    """Make a partial transcript when the voice falls, where the machine has room: the utterance may
    be over."""
    least_silence_ms: Milliseconds = 160
    """`semantic_vad`: silence that ends a turn which is over beyond doubt; the hard end of the
    session's eagerness ends every turn."""
    predict_turn_end: bool = True
    """`semantic_vad`: ask how the pause sounds."""
    partial_interval_ms: Milliseconds = 400
    """Speech between partial transcripts; 0: none. A busy machine makes fewer."""
    max_utterance_ms: Milliseconds = 300_000
    """Longest utterance; it is ended there. Its audio is held for 60 s, its words are kept."""
    speculation: bool = True
    """Start the response before the turn is known to be over, and hold its audio."""
    speculation_wait_ms: Milliseconds = 150
    """Start none ahead while a job of any stage has waited for longer: the machine is busy."""
    warming: bool = True
    """Have the language model read the conversation while the user still speaks, and tell how
    probable it is that the words end there."""
    score_end: bool = True
    """`semantic_vad`: let that probability count. Off: the model only reads ahead."""
    own_pauses: bool = True
    """`semantic_vad`: wait longer in doubt for a speaker who has paused for longer before."""


class Retrieval(Section, frozen=True, kw_only=True):
    """Passages of documents that the language model reads with what the user said."""

    engine: str = ""
    """`folder`, `http`, or the name of an installed package's; empty: none."""
    folder: str = ""
    """`folder`: the directory whose `.txt` and `.md` files are searched."""
    url: str = ""
    """`http`: where a JSON query is posted to."""
    top_k: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    """Passages at most; each has up to 600 characters."""
    budget_ms: Milliseconds = 250
    """After so long the model is asked without them."""


class Tools(Section, frozen=True, kw_only=True):
    """Functions of the client that the language model calls."""

    filler: Annotated[str, msgspec.Meta(max_length=120)] = ""
    """Spoken once while the output of a function does not come, such as `One moment.`; the model
    never reads it; empty: silence."""
    filler_after_ms: Milliseconds = 1_500
    """After so long, counted from the call or from the end of the words before it."""


class Playout(Section, frozen=True, kw_only=True):
    """How far ahead of the listener audio is sent."""

    lead_ms: Milliseconds = 400
    """Ahead of what the client reports it has played."""
    unreported_lead_ms: Milliseconds = 1_000
    """Ahead of the sent-audio clock, for clients that report nothing."""


class Supervision(Section, frozen=True, kw_only=True):
    """How `antiphon up` keeps the programs running."""

    supervisor: Literal["supervisord", "builtin"] = "supervisord"
    """`builtin` needs no other package and starts an ended program again within milliseconds."""
    topology: str = ""
    """TOML file that says which workers run on which graphics cards, in place of the `processes` of
    each stage; empty: they run wherever they find room."""


class Tracing(Section, frozen=True, kw_only=True):
    """OpenTelemetry traces, one a response, without any words; needs the extra `otel`."""

    endpoint: str = ""
    """Base address of an OTLP/HTTP collector, such as `http://localhost:4318`; empty: no traces."""


class Log(Section, frozen=True, kw_only=True):
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(Section, frozen=True, kw_only=True):
    """All settings."""

    gateway: Gateway = Gateway()
    lan: Lan = Lan()
    bus: Bus = Bus()
    models: Models = Models()
    stt: Stt = Stt()
    llm: Llm = Llm()
    tts: Tts = Tts()
    simulated: Simulated = Simulated()
    turn_taking: TurnTaking = TurnTaking()
    playout: Playout = Playout()
    retrieval: Retrieval = Retrieval()
    tools: Tools = Tools()
    supervision: Supervision = Supervision()
    tracing: Tracing = Tracing()
    log: Log = Log()

    @property
    def gateways(self) -> tuple[str, ...]:
        """Names of all gateways."""
        if self.gateway.processes == 1:
            return (self.gateway.name,)
        stem = re.sub(r"-\d+$", "", self.gateway.name)
        return tuple(f"{stem}-{index}" for index in range(self.gateway.processes))

    @property
    def hub(self) -> str:
        """Name of the process that workers announce themselves to."""
        return "dispatcher" if self.bus.dispatcher == "process" else self.gateway.name

    def stage(self, stage: Stage) -> Stt | Llm | Tts:
        """Return the section of a stage."""
        section: Stt | Llm | Tts = getattr(self, stage)
        return section
