"""What one response is made with: the session's settings and the overrides of `response.create`."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from antiphon_gateway.realtime.audio_formats import AudioFormat
from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.client_items import (
    ClientFunctionCall,
    ClientFunctionCallOutput,
    ClientMessage,
    ItemReference,
    SpokenPart,
    Text,
    accept,
    spoken_parts,
)
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.realtime.items import Item, MessageItem, with_part
from antiphon_gateway.realtime.response_object import (
    MaxOutputTokens,
    OutputModality,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseObject,
)
from antiphon_gateway.realtime.session_settings import (
    UNSET,
    NamedTool,
    RetentionRatio,
    Session,
    ToolChoice,
    Tools,
    Unset,
    normalise_voice,
    spoken_language,
)
from antiphon_gateway.realtime.validation import check_free_form, convert

MAX_INPUT_ITEMS = 1_000

Metadata = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=64)], Annotated[str, msgspec.Meta(max_length=512)]],
    msgspec.Meta(max_length=16),
]
ValueT = TypeVar("ValueT")
_InputItem = ClientMessage | ClientFunctionCall | ClientFunctionCallOutput | ItemReference


class ResponseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one response, as they are in effect."""

    instructions: str
    output_modalities: tuple[OutputModality]
    max_output_tokens: MaxOutputTokens
    tools: Tools
    tool_choice: ToolChoice
    parallel_tool_calls: bool = True
    """False: at most one function is called."""
    voice: str
    language: str = ""
    """ISO 639-1 code of what is spoken; empty: that of the voice."""
    format: AudioFormat
    speed: float
    metadata: dict[str, str] | None = None
    conversation: Literal["auto", "none"] = "auto"
    """`none`: the response stays outside the conversation."""
    input: tuple[Item | ItemReference, ...] | None = None
    """What the model reads instead of the conversation."""
    spoken_input: tuple[SpokenPart, ...] = ()
    """Speech in `input` that is to be transcribed."""
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"


class _Output(msgspec.Struct, frozen=True, kw_only=True):
    format: AudioFormat | Unset = UNSET
    voice: str | Unset = UNSET


class _Audio(msgspec.Struct, frozen=True, kw_only=True):
    output: _Output | Unset = UNSET


class _Overrides(msgspec.Struct, frozen=True, kw_only=True):
    instructions: Text | Unset = UNSET
    output_modalities: tuple[OutputModality] | Unset = UNSET
    max_output_tokens: MaxOutputTokens | Unset = UNSET
    tools: Tools | Unset = UNSET
    tool_choice: ToolChoice | Unset = UNSET
    parallel_tool_calls: bool | Unset = UNSET
    metadata: Metadata | None = None
    conversation: Literal["auto", "none"] = "auto"
    input: Annotated[tuple[_InputItem, ...], msgspec.Meta(max_length=MAX_INPUT_ITEMS)] | None = None
    audio: _Audio | Unset = UNSET


def merge_response(
    settings: Session, payload: dict[str, Any] | None, catalogue: Catalogue
) -> ResponseSettings:
    """Return the settings of a response; `payload` is the `response` of `response.create`.

    Raises InvalidEvent naming the field and its limit.
    """
    payload = dict(payload or {})
    check_free_form(payload, "response")
    if isinstance(audio := payload.get("audio"), dict) and "output" in audio:
        payload["audio"] = {**audio, "output": normalise_voice(audio["output"], catalogue)}
    overrides = convert(payload, _Overrides, "response")
    output = _Output()
    if overrides.audio is not UNSET and overrides.audio.output is not UNSET:
        output = overrides.audio.output
    ours = settings.audio.output
    if payload:
        _check_choice(
            _or(overrides.tools, settings.tools), _or(overrides.tool_choice, settings.tool_choice)
        )
    input_items, spoken_input = _accept_input(overrides.input)
    voice = _or(output.voice, ours.voice)
    return ResponseSettings(
        instructions=_or(overrides.instructions, settings.instructions),
        output_modalities=_or(overrides.output_modalities, settings.output_modalities),
        max_output_tokens=_or(overrides.max_output_tokens, settings.max_output_tokens),
        tools=_or(overrides.tools, settings.tools),
        tool_choice=_or(overrides.tool_choice, settings.tool_choice),
        parallel_tool_calls=_or(
            overrides.parallel_tool_calls, settings.parallel_tool_calls is not False
        ),
        truncation=settings.truncation,
        voice=voice,
        language=catalogue.spoken(voice, spoken_language(settings)),
        format=_or(output.format, ours.format),
        speed=ours.speed,
        metadata=overrides.metadata,
        conversation=overrides.conversation,
        input=input_items,
        spoken_input=spoken_input,
    )


def response_object(
    response_id: str, settings: ResponseSettings, conversation_id: str
) -> ResponseObject:
    """Return the object of `response.created`."""
    return ResponseObject(
        id=response_id,
        conversation_id=conversation_id if settings.conversation == "auto" else UNSET,
        output_modalities=settings.output_modalities,
        max_output_tokens=settings.max_output_tokens,
        audio=ResponseAudio(
            output=ResponseAudioOutput(format=settings.format, voice=settings.voice)
        ),
        metadata=settings.metadata,
    )


def _check_choice(tools: Tools, chosen: ToolChoice) -> None:
    """Refuse to call a function that is not among the tools."""
    if isinstance(chosen, NamedTool) and all(tool.name != chosen.name for tool in tools):
        raise InvalidEvent(
            "invalid_value",
            f"response.tool_choice: there is no tool {chosen.name!r}",
            param="response.tool_choice",
        )


def _or(override: ValueT | Unset, setting: ValueT) -> ValueT:
    return setting if override is UNSET else override


def with_transcript(
    settings: ResponseSettings, item_id: str, content_index: int, transcript: str
) -> ResponseSettings:
    """Return the settings with the words of one part of the input."""
    return msgspec.structs.replace(
        settings,
        input=tuple(
            with_part(item, content_index, transcript)
            if isinstance(item, MessageItem) and item.id == item_id
            else item
            for item in settings.input or ()
        ),
    )


def _accept_input(
    items: tuple[_InputItem, ...] | None,
) -> tuple[tuple[Item | ItemReference, ...] | None, tuple[SpokenPart, ...]]:
    """Return the input and the speech in it; what is to be transcribed gets an id of its own."""
    if items is None:
        return None, ()
    accepted: list[Item | ItemReference] = []
    spoken: list[SpokenPart] = []
    for index, item in enumerate(items):
        if isinstance(item, ItemReference):
            accepted.append(item)
            continue
        at, item_id = f"response.input[{index}]", new_id("item")
        parts = spoken_parts(item, item_id, at)
        accepted.append(accept(msgspec.structs.replace(item, id=item_id) if parts else item, at))
        spoken += parts
    return tuple(accepted), tuple(spoken)
