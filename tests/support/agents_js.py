"""What `agents_conversation.mjs` told, and where its SDK is."""

import base64
from typing import Any

import pytest
from source_tree import ROOT
from whole_talk import Cut, Told

WEB = ROOT / "web"
SDK = WEB / "node_modules" / "@openai" / "agents-realtime"
needs_sdk = pytest.mark.skipif(not SDK.is_dir(), reason="run: npm --prefix web ci")


def told_by_script(told: dict[str, Any]) -> Told:
    """Return what a script told; an error that it got fails the test."""
    assert told["errors"] == []
    texts = {item["id"]: item["text"] for item in told["history"]}
    [answer] = [item for item in told["answer"]["output"] if item["type"] == "message"]
    item_id = told["truncated"]["item_id"]
    assert told["kept"]["id"] == item_id
    return Told(
        transcripts=told["transcripts"],
        called=told["called"],
        cut=Cut(
            item_id=item_id,
            said=told["said"][item_id],
            audio=base64.b64decode(told["audio"]),
            audio_end_ms=told["truncated"]["audio_end_ms"],
            kept=told["kept"]["content"][0]["transcript"],
        ),
        history=texts[item_id],
        answer=answer["content"][0]["transcript"],
        answer_in_history=texts[answer["id"]],
    )
