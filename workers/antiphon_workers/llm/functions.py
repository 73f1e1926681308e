"""Calling functions with a model whose chat template knows none: prompts, schemas. Pure.

First the model chooses between the functions' names, then it fills in the arguments; a grammar or
a schema lets it write nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from antiphon_proto.conversation import ChatMessage, Function

_MAX_STRING_CHARS = 100
_MAX_ITEMS = 16
_DECLINED = "none"
_CHOOSE = "Choose the function that a message asks for."
_FILL_IN = "Write JSON."
_SMALL_TALK = ("What is two plus two?", "Good morning!")
"""Messages that ask for no function, as examples: a small model follows nothing else."""
_CONTEXT_MESSAGES = 3
_COMBINED = ("anyOf", "oneOf", "allOf", "$ref", "required")
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def fold(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return a conversation without calls and outputs: these are put before the user's words.

    A call without an output is left out. An output behind an answer becomes words of the user: the
    model would go on with the answer otherwise.
    """
    folded: list[ChatMessage] = []
    calls = {call.call_id: call for message in messages for call in message.calls}
    asked_at = -1
    for message in messages:
        if message.role == "tool":
            call = calls.get(message.call_id)
            told = f"{call.name}({call.arguments})" if call is not None else "function"
            fact = f"{told}: {message.content}\n\n"
            if asked_at >= 0 and folded[-1].role != "assistant":
                asked = folded[asked_at]
                folded[asked_at] = ChatMessage("user", fact + asked.content)
            else:
                folded.append(ChatMessage("user", fact.rstrip()))
                asked_at = len(folded) - 1
        elif message.content or not message.calls:
            if message.role == "user":
                asked_at = len(folded)
            folded.append(ChatMessage(message.role, message.content))
    return folded


def may_call(messages: Sequence[ChatMessage]) -> bool:
    """Tell whether the next thing may be a call: the user has spoken last."""
    return bool(messages) and messages[-1].role == "user"


def choice(
    messages: Sequence[ChatMessage], functions: Sequence[Function], *, must_call: bool
) -> tuple[list[ChatMessage], list[str]]:
    """Return the question which function the user's last message asks for, and its answers."""
    lines = [f"- {function.name}: {_purpose(function)}" for function in functions]
    prompt = [ChatMessage("system", "\n".join([_CHOOSE, *lines]))]
    for function in functions:
        prompt.append(ChatMessage("user", _purpose(function)))
        prompt.append(ChatMessage("assistant", function.name))
    names = [function.name for function in functions]
    if not must_call:
        declined = _declined(names)
        for words in _SMALL_TALK:
            prompt += [ChatMessage("user", words), ChatMessage("assistant", declined)]
        names.append(declined)
    prompt.append(ChatMessage("user", _last_words(messages, 1)))
    return prompt, names


def arguments(
    messages: Sequence[ChatMessage], function: Function
) -> tuple[list[ChatMessage], dict[str, Any]]:
    """Return the request for a function's arguments, and their schema."""
    schema = bounded(function.parameters)
    system = f"{_FILL_IN}\n{function.name}: {_purpose(function)}\n{_example(schema)}"
    prompt = [
        ChatMessage("system", system),
        ChatMessage("user", _last_words(messages, _CONTEXT_MESSAGES)),
    ]
    return prompt, {**schema, "type": "object"}


def names_grammar(names: Sequence[str]) -> str:
    """Return the grammar of llama.cpp that allows these words alone."""
    allowed = " | ".join(json.dumps(name) for name in names)
    return f"%llguidance {{}}\nstart: {allowed}\n"


def object_grammar(schema: Mapping[str, Any]) -> str:
    """Return the grammar of llama.cpp that allows what fits a schema, without needless spaces."""
    text = json.dumps({**schema, "x-guidance": _COMPACT})
    return f"%llguidance {{}}\nstart: %json {text}\n"


def is_object(text: str) -> bool:
    """Tell whether a text is a JSON object; it is not when a server dropped the grammar."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def needs_arguments(function: Function) -> bool:
    """Tell whether there is anything to fill in."""
    return any(function.parameters.get(key) for key in ("properties", *_COMBINED))


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON schema whose strings and lists end; what fits it fits the given one too."""
    made: dict[str, Any] = {
        key: bounded(value) if isinstance(value, Mapping) else _bounded_list(key, value)
        for key, value in schema.items()
        if key not in ("properties", "$defs", "definitions")
    }
    for key in ("properties", "$defs", "definitions"):
        if isinstance(inner := schema.get(key), Mapping):
            made[key] = {
                name: bounded(part) if isinstance(part, Mapping) else part
                for name, part in inner.items()
            }
    kind = schema.get("type")
    if kind == "string" and not {"enum", "const", "pattern", "format", "maxLength"} & set(schema):
        made["maxLength"] = max(_MAX_STRING_CHARS, _integer(schema.get("minLength")))
    if kind == "array" and "maxItems" not in schema:
        made["maxItems"] = max(_MAX_ITEMS, _integer(schema.get("minItems")))
    if kind == "object":
        made.setdefault("additionalProperties", False)
    return made


def _bounded_list(key: str, value: object) -> object:
    if key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        return [bounded(part) if isinstance(part, Mapping) else part for part in value]
    return value


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _example(schema: Mapping[str, Any]) -> str:
    """Return what the arguments look like: names, and what their values may be."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return json.dumps(dict(schema))
    told = (f'"{name}": {_kind(part)}' for name, part in properties.items())
    return "{" + ", ".join(told) + "}"


def _kind(part: object) -> str:
    if not isinstance(part, Mapping):
        return "..."
    values = part.get("enum")
    shown = str(part.get("type", "..."))
    if isinstance(values, list):
        shown = " or ".join(json.dumps(value) for value in values)
    return f"{shown} ({part['description']})" if part.get("description") else shown


def _declined(names: Sequence[str]) -> str:
    word = _DECLINED
    while word in names:
        word += "_"
    return word


def _purpose(function: Function) -> str:
    return function.description.strip() or function.name.replace("_", " ")


def _last_words(messages: Sequence[ChatMessage], count: int) -> str:
    """Return the last thing the user said, after what was said before it."""
    said = [message for message in fold(messages) if message.role != "system" and message.content]
    while said and said[-1].role != "user":
        said.pop()
    return "\n".join(message.content for message in said[-count:])
