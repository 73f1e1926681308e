"""The session object of the Realtime API: its fields, defaults, limits and merge rules."""

from typing import Annotated, Any, Literal

import msgspec

from antiphon_gateway.realtime.audio_formats import AudioFormat, Pcm
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.response_object import MaxOutputTokens, OutputModality
from antiphon_gateway.realtime.validation import check_free_form, convert
from antiphon_proto.config import Config

MAX_SESSION_BYTES = 256 * 1024
"""Size of the session object as JSON: instructions, tools and all."""
MAX_TOOLS = 128

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET
Ratio = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Language = Annotated[str, msgspec.Meta(max_length=16)]
SessionType = Literal["realtime", "transcription"]
FunctionName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ServerVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """The turn ends after a fixed silence."""

    threshold: Ratio = 0.5
    prefix_padding_ms: Annotated[int, msgspec.Meta(ge=0, le=5_000)] = 300
    silence_duration_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, msgspec.Meta(ge=5_000, le=30_000)] | None = None


class SemanticVad(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """The turn ends early when it sounds complete, later when it does not."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


class NoiseReduction(msgspec.Struct, frozen=True, kw_only=True):
    """Noise suppression of the microphone signal."""

    type: Literal["near_field", "far_field"]
    strength: Ratio = 1.0


class Transcription(msgspec.Struct, frozen=True, kw_only=True):
    """How the user's speech is turned into text."""

    model: str
    language: Language | Unset = UNSET
    """ISO 639-1 code."""
    prompt: Annotated[str, msgspec.Meta(max_length=4_096)] | Unset = UNSET
    """Words that the model is to expect; it reads the last 223 tokens."""
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | Unset = UNSET
    keywords: tuple[str, ...] | Unset = UNSET
    languages: tuple[str, ...] | Unset = UNSET


class AudioInput(msgspec.Struct, frozen=True, kw_only=True):
    """Audio from the client."""

    format: AudioFormat = Pcm()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None
    """None: the client does not ask for transcripts."""
    turn_detection: TurnDetection | None = SemanticVad()
    """None: the client says when a turn is over (push-to-talk)."""


class AudioOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Audio to the client."""

    format: AudioFormat = Pcm()
    voice: str
    language: Language | Unset = UNSET
    """Ours: ISO 639-1 code of what is spoken; unset: `input.transcription.language`, where a voice
    speaks that."""
    speed: Annotated[float, msgspec.Meta(ge=0.25, le=1.5)] = 1.0


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """Audio in both directions."""

    input: AudioInput
    output: AudioOutput


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the client that the model may call."""

    type: Literal["function"] = "function"
    name: FunctionName
    description: str | Unset = UNSET
    parameters: dict[str, Any] | Unset = UNSET
    """A JSON schema."""


class NamedTool(msgspec.Struct, frozen=True, kw_only=True):
    """The one function that the model must call."""

    type: Literal["function"]
    name: FunctionName


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Budget of a truncated conversation."""

    post_instructions: Annotated[int, msgspec.Meta(ge=0)] | Unset = UNSET


class RetentionRatio(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the conversation stays when it must be cut."""

    type: Literal["retention_ratio"]
    retention_ratio: Ratio
    token_limits: TokenLimits | Unset = UNSET


Tools = Annotated[tuple[FunctionTool, ...], msgspec.Meta(max_length=MAX_TOOLS)]
ToolChoice = Literal["auto", "none", "required"] | NamedTool


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one session, as they are in effect."""

    type: SessionType = "realtime"
    """`transcription`: speech becomes text, and nothing is answered. Never changes."""
    model: str
    output_modalities: tuple[OutputModality] = ("audio",)
    instructions: str
    max_output_tokens: MaxOutputTokens = "inf"
    tools: Tools = ()
    tool_choice: ToolChoice = "auto"
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    tracing: Literal["auto"] | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: tuple[str, ...] | None = None
    reasoning: dict[str, Any] | Unset = UNSET
    parallel_tool_calls: bool | Unset = UNSET
    audio: Audio

    def to_json(self, session_id: str) -> dict[str, Any]:
        """Return the session object of `session.created` and `session.updated`."""
        settings: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        if self.type == "transcription":
            return _transcription_object(session_id, settings)
        return {"object": "realtime.session", "id": session_id, **settings}


def default_session(
    config: Config, catalogue: Catalogue, kind: SessionType = "realtime"
) -> Session:
    """Return the settings that a session starts with."""
    language = config.stt.language
    transcription = Transcription(model=catalogue.transcription_model, language=language or UNSET)
    voice = (language and catalogue.voice_of(_code(language))) or catalogue.voices[0]
    return Session(
        type=kind,
        model=catalogue.model,
        instructions=config.llm.instructions,
        audio=Audio(
            input=AudioInput(transcription=transcription),
            output=AudioOutput(voice=voice),
        ),
    )


def merge(settings: Session, update: dict[str, Any], catalogue: Catalogue) -> Session:
    """Return the settings after a client's `session.update`.

    `audio` is merged field by field, everything else is replaced; null turns off what can be off.
    `turn_detection` and `format` start anew when their type changes. Unknown fields are ignored;
    names of models and voices resolve through `catalogue`. A voice that does not speak the
    session's language gives way to one that does, unless the update names it.

    Raises InvalidEvent naming the field and its limit; nothing is changed then.
    """
    if update.get("type", settings.type) != settings.type:
        raise InvalidEvent(
            "invalid_value",
            f"session.type cannot change; allowed: {settings.type}. A transcription session is "
            "opened with intent=transcription in the query",
            param="session.type",
        )
    check_free_form(update, "session")
    tree = {**msgspec.to_builtins(settings), **update}
    if isinstance(audio := update.get("audio"), dict):
        tree["audio"] = _merge_audio(msgspec.to_builtins(settings.audio), audio)
    _resolve_names(tree, catalogue)
    merged = _in_language(settings, convert(tree, Session, "session"), update, catalogue)
    size = len(msgspec.json.encode(merged))
    if size > MAX_SESSION_BYTES:
        raise InvalidEvent(
            "invalid_value",
            f"session is {size} bytes as JSON, the limit is {MAX_SESSION_BYTES}",
            param="session",
        )
    return merged


def normalise_voice(output: object, catalogue: Catalogue) -> object:
    """Return an `audio.output` object with its voice, a name or `{"id": name}`, as one of ours."""
    if not isinstance(output, dict) or "voice" not in output:
        return output
    voice = output["voice"]
    name = voice.get("id") if isinstance(voice, dict) else voice
    return {**output, "voice": catalogue.resolve_voice(name)} if isinstance(name, str) else output


def spoken_language(settings: Session) -> str:
    """Return the ISO 639-1 code of the language to be heard; empty: any."""
    output, transcription = settings.audio.output, settings.audio.input.transcription
    heard = transcription.language if transcription else UNSET
    return _code((output.language or "") or (heard or ""))


def _in_language(
    before: Session, merged: Session, update: dict[str, Any], catalogue: Catalogue
) -> Session:
    """Return a session whose language has changed with a voice that speaks it. Raises InvalidEvent
    when `audio.output.language` is one that no voice speaks, or not the voice that is named."""
    output, language = merged.audio.output, spoken_language(merged)
    named = "voice" in ((update.get("audio") or {}).get("output") or ())
    asked = language != spoken_language(before) or (named and output.language)
    if not language or not asked or catalogue.speaks(output.voice, language):
        return merged
    voice = "" if named else catalogue.voice_of(language)
    if not voice and output.language:
        raise InvalidEvent(
            "unsupported_value",
            f"session.audio.output.language: {f'{output.voice} does' if named else 'no voice'} "
            f"{'not speak' if named else 'speaks'} {language!r}; there is {catalogue.told()}",
            param="session.audio.output.language",
        )
    if not voice:
        return merged
    output = msgspec.structs.replace(output, voice=voice)
    return msgspec.structs.replace(
        merged, audio=msgspec.structs.replace(merged.audio, output=output)
    )


def _code(language: str) -> str:
    return language.partition("-")[0].lower()


def _transcription_object(session_id: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what clients see of a transcription session: the settings of its input."""
    heard: dict[str, Any] = settings["audio"]["input"]
    if heard["turn_detection"] is not None:
        unused = ("create_response", "interrupt_response", "idle_timeout_ms")
        kept = {
            name: value for name, value in heard["turn_detection"].items() if name not in unused
        }
        heard["turn_detection"] = kept
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "include": settings["include"],
        "audio": {"input": heard},
    }


def _merge_audio(current: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    merged = {**current}
    for key, value in update.items():
        inner = current.get(key)
        merged[key] = value
        if isinstance(inner, dict) and isinstance(value, dict):
            merged[key] = value if _starts_anew(key, inner, value) else _merge_audio(inner, value)
    return merged


def _starts_anew(key: str, current: dict[str, Any], update: dict[str, Any]) -> bool:
    if key not in ("turn_detection", "format"):
        return False
    return bool(update.get("type", current.get("type")) != current.get("type"))


def _resolve_names(tree: dict[str, Any], catalogue: Catalogue) -> None:
    if isinstance(tree.get("model"), str):
        tree["model"] = catalogue.model
    audio = tree["audio"]
    if not isinstance(audio, dict):
        return
    audio["output"] = normalise_voice(audio.get("output"), catalogue)
    audio_input = audio.get("input")
    if not isinstance(audio_input, dict):
        return
    transcription = audio_input.get("transcription")
    if isinstance(transcription, dict) and isinstance(transcription.get("model", ""), str):
        model = catalogue.transcription_model
        audio_input["transcription"] = {**transcription, "model": model}
