"""Speech inside items that clients add: transcribed before the model reads the item."""

import base64
from typing import Any

import pytest
from session_rig import Rig, history, messages_asked

from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import Failed, Generate, Transcribe

OUT_OF_BAND = {"conversation": "none", "metadata": {"topic": "x"}}
COMPLETED = "conversation.item.input_audio_transcription.completed"


def spoken(length_ms: int, **fields: Any) -> dict[str, Any]:
    """A part with so much audio at 24 kHz."""
    audio = base64.b64encode(bytes(48 * length_ms)).decode()
    return {"type": "input_audio", "audio": audio, **fields}


def add(rig: Rig, *content: dict[str, Any], **fields: Any) -> None:
    rig.send(
        type="conversation.item.create",
        event_id="mine",
        item={"type": "message", "role": "user", "content": list(content), **fields},
    )


def test_the_response_waits_for_the_words() -> None:
    rig = Rig()
    add(rig, spoken(2_000), id="asked")
    assert rig.last("conversation.item.done")["item"]["content"][0]["transcript"] is None
    rig.send(type="response.create")
    assert rig.submitted(Generate) == 0
    assert len(rig.job(Transcribe).payload) == 2 * 16 * 2_000
    rig.transcribe("What time is it?")
    completed = rig.last(COMPLETED)
    assert (completed["item_id"], completed["transcript"]) == ("asked", "What time is it?")
    assert completed["usage"] == {"type": "duration", "seconds": 2.0}
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]


def test_an_item_alone_is_not_answered() -> None:
    rig = Rig()
    add(rig, spoken(500))
    rig.transcribe("What time is it?")
    rig.pass_time(5_000)
    assert rig.submitted(Generate) == 0


def test_each_part_gets_its_own_words() -> None:
    rig = Rig()
    text = {"type": "input_text", "text": "Translate:"}
    add(rig, text, spoken(500), spoken(300, transcript="Known."), spoken(400))
    rig.transcribe("Guten Tag.")
    rig.transcribe("Auf Wiedersehen.")
    told = [event["content_index"] for event in rig.events if event["type"] == COMPLETED]
    assert told == [1, 3]
    assert history(rig) == [("user", "Translate:\nGuten Tag.\nKnown.\nAuf Wiedersehen.")]


def test_a_failed_transcription_is_told_and_the_response_goes_on() -> None:
    rig = Rig()
    add(rig, {"type": "input_text", "text": "Hear this:"}, spoken(500))
    rig.send(type="response.create")
    rig.answer(rig.job(Transcribe), Failed(code="poison_job", message="x", retryable=False))
    failed = rig.last("conversation.item.input_audio_transcription.failed")
    assert failed["content_index"] == 1
    assert messages_asked(rig) == [ChatMessage("user", "Hear this:")]


def test_an_item_that_was_deleted_stays_away() -> None:
    rig = Rig()
    add(rig, spoken(500), id="gone")
    rig.send(type="conversation.item.delete", item_id="gone")
    rig.transcribe("What time is it?")
    assert history(rig) == []


@pytest.mark.parametrize(("length_ms", "limit_ms"), [(99, 59_000), (59_001, 59_000)])
def test_too_little_or_too_much_is_refused_and_nothing_added(length_ms: int, limit_ms: int) -> None:
    rig = Rig()
    add(rig, spoken(1_000))
    rig.types()
    add(rig, {"type": "input_text", "text": "Hi."}, spoken(length_ms))
    error = rig.last("error")["error"]
    assert (error["code"], error["event_id"]) == ("invalid_value", "mine")
    assert error["param"] == "item.content[1].audio"
    assert f"between 100 and {limit_ms}" in error["message"]
    assert rig.types() == ["error"]
    assert rig.submitted(Transcribe) == 1


def respond_to(rig: Rig, *content: dict[str, Any], **fields: Any) -> None:
    """Ask for a response to an input of its own."""
    message = {"type": "message", "role": "user", "content": list(content), **fields}
    rig.send(type="response.create", event_id="mine", response={"input": [message], **OUT_OF_BAND})


def test_speech_in_the_input_of_a_response_is_transcribed_for_it_alone() -> None:
    rig = Rig()
    text = {"type": "input_text", "text": "Translate:"}
    respond_to(rig, text, spoken(500), id="mine")
    assert rig.last("response.created")["response"]["metadata"] == {"topic": "x"}
    assert rig.submitted(Generate) == 0
    assert len(rig.job(Transcribe).payload) == 2 * 16 * 500
    rig.transcribe("Guten Tag.")
    assert messages_asked(rig) == [ChatMessage("user", "Translate:\nGuten Tag.")]
    assert history(rig) == []
    assert [kind for kind in rig.types() if "transcription" in kind] == []


def test_a_response_fails_without_the_words_of_its_input() -> None:
    rig = Rig()
    respond_to(rig, spoken(500))
    rig.answer(rig.job(Transcribe), Failed(code="poison_job", message="x", retryable=False))
    done = rig.last("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "input_not_transcribed"
    assert rig.submitted(Generate) == 0


def test_words_for_a_response_that_was_cancelled_go_nowhere() -> None:
    rig = Rig()
    respond_to(rig, spoken(500))
    rig.send(type="response.cancel")
    add(rig, {"type": "input_text", "text": "Hi."})
    rig.send(type="response.create")
    rig.transcribe("Guten Tag.")
    assert messages_asked(rig) == [ChatMessage("user", "Hi.")]


@pytest.mark.parametrize("length_ms", [99, 60_001])
def test_input_with_too_little_or_too_much_speech_begins_no_response(length_ms: int) -> None:
    rig = Rig()
    rig.types()
    respond_to(rig, spoken(length_ms))
    error = rig.last("error")["error"]
    assert error["param"] == "response.input[0].content[0].audio"
    assert rig.types() == ["error"]
    assert rig.submitted(Transcribe) == 0
