"""Valid and invalid client events for property tests, and what tells that each was carried out."""

from typing import Any

from hypothesis import strategies as some

IDS = some.sampled_from(["item_1", "item_2", "item_3", "mine", "nowhere", "", "x" * 65, "root"])
NEW_IDS = some.sampled_from(["mine", "yours", "", "x" * 65, "root"])
"""Ids that a client makes up; it cannot guess those of the server."""
JUNK: some.SearchStrategy[Any] = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)
"""Any JSON, also what no field allows."""
TEXT_PART = some.fixed_dictionaries(
    {"type": some.sampled_from(["input_text", "output_text", "text"]), "text": some.text()}
)
SPEECH_PART = some.fixed_dictionaries(
    {"type": some.just("input_audio")},
    optional={"transcript": some.none() | some.text(), "audio": some.sampled_from(["", "AAAA"])},
)
MESSAGE = some.fixed_dictionaries(
    {
        "type": some.just("message"),
        "role": some.sampled_from(["user", "assistant", "system", "tool"]),
        "content": some.lists(TEXT_PART | SPEECH_PART, max_size=3),
    },
    optional={"id": NEW_IDS},
)
CALL = some.fixed_dictionaries(
    {"type": some.just("function_call"), "name": some.text(), "arguments": some.text()},
    optional={"call_id": IDS, "id": NEW_IDS},
)
OUTPUT = some.fixed_dictionaries(
    {"type": some.just("function_call_output"), "call_id": IDS, "output": some.text()},
    optional={"id": NEW_IDS},
)
ITEM = MESSAGE | CALL | OUTPUT | JUNK
TOOL = some.fixed_dictionaries(
    {"type": some.just("function"), "name": some.sampled_from(["f", "g", ""])},
    optional={"parameters": some.just({"type": "object"}), "description": some.text()},
)
CHOICE = some.sampled_from(
    ["auto", "none", "required", "maybe", {"type": "function", "name": "f"}, {"type": "mcp"}]
)
RESPONSE = some.fixed_dictionaries(
    {},
    optional={
        "instructions": some.text(),
        "output_modalities": some.sampled_from([["audio"], ["text"], ["audio", "text"], []]),
        "max_output_tokens": some.sampled_from([1, 4096, "inf", 0, "all"]),
        "conversation": some.sampled_from(["auto", "none", "other"]),
        "input": some.lists(ITEM | some.builds(lambda i: {"type": "item_reference", "id": i}, IDS),
                            max_size=2),
        "tools": some.lists(TOOL, max_size=2),
        "tool_choice": CHOICE,
        "metadata": some.none() | some.dictionaries(some.text(), some.text(), max_size=2) | JUNK,
    },
)  # fmt: skip
SESSION = some.fixed_dictionaries(
    {},
    optional={
        "type": some.sampled_from(["realtime", "transcription", "other"]),
        "instructions": some.text() | JUNK,
        "tools": some.lists(TOOL, max_size=2),
        "tool_choice": CHOICE,
        "truncation": some.sampled_from(["auto", "disabled", {"type": "retention_ratio"}, 3]),
        "audio": some.fixed_dictionaries(
            {},
            optional={
                "input": some.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": some.none()
                        | some.sampled_from([{"type": "server_vad"}, {"type": "semantic_vad"}])
                        | JUNK,
                        "transcription": some.none() | JUNK,
                    },
                ),
                "output": JUNK,
            },
        ),
        "later": JUNK,
    },
)


def event(kind: str, **fields: some.SearchStrategy[Any]) -> some.SearchStrategy[dict[str, Any]]:
    """Return events of a kind, now and then with a field that is missing or wrong."""
    type_ = some.just({"type": kind})
    fair = some.fixed_dictionaries(fields)
    odd = some.fixed_dictionaries({}, optional={name: JUNK for name in fields})
    return some.builds(lambda a, b: {**b, **a}, type_, fair | fair | fair | odd)


EVENT = some.one_of(
    event("session.update", session=SESSION),
    event("input_audio_buffer.append", audio=some.sampled_from(["", "AA==", "AAAA" * 2_000, "!"])),
    event("input_audio_buffer.commit"),
    event("input_audio_buffer.clear"),
    event("output_audio_buffer.clear"),
    event("conversation.item.create", item=ITEM),
    event("conversation.item.create", item=ITEM, previous_item_id=IDS),
    event("conversation.item.retrieve", item_id=IDS),
    event("conversation.item.delete", item_id=IDS),
    event("conversation.item.truncate", item_id=IDS, content_index=some.integers(-1, 2),
          audio_end_ms=some.integers(-1, 5_000)),
    event("response.create"),
    event("response.create", response=RESPONSE),
    event("response.cancel"),
    event("response.cancel", response_id=IDS),
    event("antiphon.playout", item_id=IDS, played_ms=some.integers(0, 900),
          buffered_ms=some.just(0)),
    event("not.an.event"),
)  # fmt: skip
ANSWERED = {
    "session.update": "session.updated",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "conversation.item.create": "conversation.item.done",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.delete": "conversation.item.deleted",
    "response.create": "response.created",
    "response.cancel": "response.done",
}
"""What tells the client that its event was carried out; the others may be silent."""
