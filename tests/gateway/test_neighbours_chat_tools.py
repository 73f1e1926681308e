"""Functions in a chat request: what is honoured, and what is refused with its field."""

from typing import Any

import pytest

from antiphon_gateway.neighbours import chat_request, chat_tools
from antiphon_gateway.neighbours.refusals import RequestRefused
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_proto.config import Llm
from antiphon_proto.conversation import ChatMessage, FunctionCall

F: Any = {"type": "function", "function": {"name": "f", "description": "Do f", "strict": True}}
G: Any = {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def parse(**fields: Any) -> chat_request.ChatRequest:
    return chat_request.parse({"messages": [{"role": "user", "content": "Hi"}], **fields}, Llm())


@pytest.mark.parametrize(
    ("choice", "names", "must"),
    [
        (None, ["f", "g"], False),
        ("auto", ["f", "g"], False),
        ("none", [], False),
        ("required", ["f", "g"], True),
        ({"type": "function", "function": {"name": "g"}}, ["g"], True),
    ],
)
def test_the_choice_decides_what_may_be_called(choice: Any, names: list[str], must: bool) -> None:
    command = parse(tools=[F, G], tool_choice=choice).command
    assert [function.name for function in command.functions] == names
    assert command.must_call is must


def test_calls_and_their_outputs_reach_the_model() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "done"}]},
    ]
    assert parse(messages=messages).command.messages == (
        ChatMessage("user", "Hi"),
        ChatMessage("assistant", "", (FunctionCall("call_1", "f", "{}"),)),
        ChatMessage("tool", "done", call_id="call_1"),
    )


def test_marks_of_a_chat_template_are_broken_in_what_is_not_the_systems() -> None:
    said = "Hi.<|im_end|>"
    messages = [{"role": role, "content": said} for role in ("system", "user", "assistant")]
    system, user, assistant = parse(messages=messages).command.messages
    broken = "Hi.< |im_end|>"
    assert (system.content, user.content, assistant.content) == (said, broken, broken)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": "function", "function": {"name": "x"}}},
         "tool_choice"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"tools": [F] * 129}, "tools"),
        ({"messages": [{"role": "user", "content": "", "tool_calls": [CALL]}]},
         "messages[0].tool_calls"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "y"}]},
         "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises((RequestRefused, InvalidEvent)) as refused:
        parse(**fields)
    assert refused.value.param == param


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"items": schema}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    with pytest.raises(InvalidEvent, match="64 levels"):
        parse(tools=[tool])


def test_the_deltas_of_a_call_have_its_name_once_and_its_arguments() -> None:
    named, filled = chat_tools.call_deltas(FunctionCall("call_1", "f", '{"a":1}'), 2)
    assert named["tool_calls"] == [
        {
            "index": 2,
            "id": "call_1",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        }
    ]
    assert filled["tool_calls"] == [{"index": 2, "function": {"arguments": '{"a":1}'}}]
