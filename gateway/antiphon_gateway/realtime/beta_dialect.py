"""The beta form of the Realtime protocol, translated at the edge of a connection. Pure.

Older clients ask for it. Inside, everything is the GA form: events are renamed and settings are
flattened on their way out, and the reverse on their way in. What is not in the tables passes as it
is, so that a wrong value is refused by the same checks as ever, which name the GA field.
"""

from collections.abc import Collection
from typing import Any

import msgspec

SUBPROTOCOL = "openai-beta.realtime-v1"
HEADER = "OpenAI-Beta"

_DROPPED = "conversation.item.done"
_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_CONTENT_OUT = {"output_audio": "audio", "output_text": "text"}
_CONTENT_IN = {beta: ours for ours, beta in _CONTENT_OUT.items()}
_FORMATS_OUT = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_FORMATS_IN = {beta: ours for ours, beta in _FORMATS_OUT.items()}
_PLACES = {
    "input_audio_format": ("input", "format"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "input_audio_transcription": ("input", "transcription"),
    "turn_detection": ("input", "turn_detection"),
    "output_audio_format": ("output", "format"),
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
}
"""Flat fields and where they are in `audio`."""


def is_wanted(header: str, subprotocols: Collection[str]) -> bool:
    """Tell whether a client asks for the beta form, by `OpenAI-Beta` or by a subprotocol."""
    return "realtime=v1" in header or SUBPROTOCOL in subprotocols


def to_client(text: str) -> str | None:
    """Return a server event in the beta form; None when that has no such event."""
    event = msgspec.json.decode(text)
    if event["type"] == _DROPPED:
        return None
    event["type"] = _EVENTS.get(event["type"], event["type"])
    if "session" in event and "output" in event["session"].get("audio", ()):
        event["session"] = _flat(event["session"], "max_response_output_tokens")
    if "response" in event:
        response = _flat(event["response"], "max_output_tokens")
        response["output"] = [_renamed(item, _CONTENT_OUT) for item in response.get("output", ())]
        event["response"] = response
    if "item" in event:
        event["item"] = _renamed(event["item"], _CONTENT_OUT)
    return msgspec.json.encode(event).decode()


def from_client(text: str) -> str:
    """Return a client event in the GA form; what is no event of the beta form is left alone."""
    try:
        event = msgspec.json.decode(text)
        return msgspec.json.encode(_ga(event)).decode() if isinstance(event, dict) else text
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _ga(event: dict[str, Any]) -> dict[str, Any]:
    for name in ("session", "response"):
        if isinstance(event.get(name), dict):
            event[name] = _nested(event[name])
    if "item" in event:
        event["item"] = _renamed(event["item"], _CONTENT_IN)
    response = event.get("response")
    if isinstance(response, dict) and isinstance(response.get("input"), list):
        response["input"] = [_renamed(item, _CONTENT_IN) for item in response["input"]]
    return event


def _flat(settings: dict[str, Any], tokens: str) -> dict[str, Any]:
    flat = {**settings}
    audio = flat.pop("audio", {})
    flat.pop("type", None)
    for name, (side, field) in _PLACES.items():
        if field in audio.get(side, ()):
            value = audio[side][field]
            flat[name] = _FORMATS_OUT[value["type"]] if field == "format" else value
    if "output_modalities" in flat:
        spoken = "audio" in flat.pop("output_modalities")
        flat["modalities"] = ["text", "audio"] if spoken else ["text"]
    if "max_output_tokens" in flat:
        flat[tokens] = flat.pop("max_output_tokens")
    return flat


def _nested(settings: dict[str, Any]) -> dict[str, Any]:
    nested = {name: value for name, value in settings.items() if name not in _PLACES}
    nested.pop("temperature", None)
    if "audio" in settings:
        return nested  # in the GA form already; a mixture has no meaning
    for name in _PLACES.keys() & settings.keys():
        side, field = _PLACES[name]
        value = settings[name]
        if field == "format":
            value = {"type": _FORMATS_IN.get(value, value) if isinstance(value, str) else value}
        nested.setdefault("audio", {}).setdefault(side, {})[field] = value
    if isinstance(modalities := nested.pop("modalities", None), list):
        nested["output_modalities"] = ["audio"] if "audio" in modalities else modalities
    if "max_response_output_tokens" in nested:
        nested["max_output_tokens"] = nested.pop("max_response_output_tokens")
    return nested


def _renamed(item: Any, names: dict[str, str]) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return item
    return {**item, "content": [_renamed_part(part, names) for part in item["content"]]}


def _renamed_part(part: Any, names: dict[str, str]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return {**part, "type": names[kind]} if isinstance(kind, str) and kind in names else part
