"""Messages and functions in the form of OpenAI's chat completions. Pure."""

from typing import Any

from antiphon_proto.conversation import ChatMessage, Function


def as_json(message: ChatMessage) -> dict[str, Any]:
    """Return a message as an entry of `messages`."""
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.calls:
        made["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    if message.role == "tool":
        made["tool_call_id"] = message.call_id
    return made


def tool_json(function: Function) -> dict[str, Any]:
    """Return a function as an entry of `tools`."""
    return {
        "type": "function",
        "function": {
            "name": function.name,
            "description": function.description,
            "parameters": function.parameters or {"type": "object", "properties": {}},
        },
    }
