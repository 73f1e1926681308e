"""The conversation: order, cuts, bounds, and what the language model reads."""

from collections.abc import Callable

import pytest

from antiphon_gateway.realtime.client_items import ItemReference
from antiphon_gateway.realtime.conversation import Conversation
from antiphon_gateway.realtime.errors import ErrorCode, InvalidEvent
from antiphon_gateway.realtime.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputText,
    Item,
    MessageItem,
    OutputAudio,
    OutputText,
    Status,
)
from antiphon_proto.conversation import ChatMessage, FunctionCall


def user(item_id: str, text: str | None = None) -> MessageItem:
    return MessageItem(id=item_id, role="user", content=(InputAudio(transcript=text),))


def system(item_id: str, text: str) -> MessageItem:
    return MessageItem(id=item_id, role="system", content=(InputText(text=text),))


def assistant(item_id: str, text: str, status: Status = "completed") -> MessageItem:
    return MessageItem(
        id=item_id, role="assistant", content=(OutputAudio(transcript=text),), status=status
    )


def filled(*items: Item) -> Conversation:
    conversation = Conversation()
    for item in items:
        conversation.add(item)
    return conversation


def ids(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation.items]


def test_items_are_appended_and_name_the_one_before() -> None:
    conversation = Conversation()
    assert conversation.last_item_id is None
    assert conversation.add(user("a")).previous_item_id is None
    assert conversation.add(user("b")).previous_item_id == "a"
    assert ids(conversation) == ["a", "b"]
    assert conversation.last_item_id == "b"
    assert conversation.previous_item_id("b") == "a"
    assert conversation.previous_item_id("a") is None


def test_items_are_inserted_at_the_start_or_after_another() -> None:
    conversation = filled(user("a"), user("b"))
    assert conversation.add(user("first"), "root").previous_item_id is None
    assert conversation.add(user("middle"), "a").previous_item_id == "a"
    assert conversation.add(user("last"), "b").previous_item_id == "b"
    assert ids(conversation) == ["first", "a", "middle", "b", "last"]


def test_retrieve_and_delete_take_one_item() -> None:
    conversation = filled(user("a", "one"), user("b", "two"))
    assert conversation.retrieve("b") == user("b", "two")
    assert conversation.delete("a") == user("a", "one")
    assert ids(conversation) == ["b"]


def test_truncation_keeps_what_was_heard() -> None:
    conversation = filled(assistant("a", "It is ten o'clock.", "in_progress"))
    cut = conversation.truncate("a", 0, "It is")
    assert cut == assistant("a", "It is", "incomplete")
    assert conversation.retrieve("a") == cut


def test_truncation_never_makes_a_text_longer() -> None:
    conversation = filled(assistant("a", "It is"))
    assert conversation.truncate("a", 0, "It is ten o'clock.") == assistant(
        "a", "It is", "incomplete"
    )


def test_truncation_before_the_speech_began_leaves_the_message_empty() -> None:
    empty = MessageItem(id="a", role="assistant", content=(), status="in_progress")
    cut = filled(empty).truncate("a", 0, "")
    assert cut.content == ()
    assert cut.status == "incomplete"


def test_a_transcript_arrives_later() -> None:
    conversation = filled(user("a"))
    assert conversation.set_transcript("a", "Hello") == user("a", "Hello")
    assert conversation.retrieve("a") == user("a", "Hello")


def test_a_newer_state_replaces_an_item_in_place() -> None:
    conversation = filled(assistant("a", ""), user("b"))
    conversation.replace(assistant("a", "done"))
    assert conversation.items == (assistant("a", "done"), user("b"))


CALL = FunctionCallItem(id="call", call_id="c", name="f", arguments="{}")
WRITTEN = MessageItem(id="written", role="assistant", content=(OutputText(text="Hi"),))


@pytest.mark.parametrize(
    ("act", "code", "param"),
    [
        (lambda c: c.add(user("a")), "item_already_exists", "item.id"),
        (
            lambda c: c.add(user("x"), "none"),
            "item_create_invalid_previous_item_id",
            "previous_item_id",
        ),
        (lambda c: c.add(user("x", "y" * 500_001)), "invalid_value", "item"),
        (lambda c: c.retrieve("none"), "item_not_found", "item_id"),
        (lambda c: c.delete("none"), "item_not_found", "item_id"),
        (lambda c: c.replace(user("none")), "item_not_found", "item_id"),
        (lambda c: c.previous_item_id("none"), "item_not_found", "item_id"),
        (lambda c: c.set_transcript("none", "x"), "item_not_found", "item_id"),
        (lambda c: c.set_transcript("a", "x", 1), "invalid_value", "content_index"),
        (lambda c: c.set_transcript("call", "x"), "invalid_value", "content_index"),
        (lambda c: c.truncate("none", 0, ""), "item_not_found", "item_id"),
        (lambda c: c.truncate("a", 0, ""), "item_not_truncatable", "item_id"),
        (lambda c: c.truncate("call", 0, ""), "item_not_truncatable", "item_id"),
        (lambda c: c.truncate("written", 0, ""), "item_not_truncatable", "content_index"),
        (lambda c: c.truncate("spoken", 1, ""), "invalid_value", "content_index"),
        (
            lambda c: c.messages("", [ItemReference(id="none")]),
            "item_not_found",
            "item_id",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    act: Callable[[Conversation], object], code: ErrorCode, param: str
) -> None:
    conversation = filled(user("a", "one"), CALL, WRITTEN, assistant("spoken", "two"))
    before = conversation.items
    with pytest.raises(InvalidEvent) as refusal:
        act(conversation)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert conversation.items == before


def test_over_the_item_bound_the_oldest_are_forgotten() -> None:
    conversation = Conversation(max_items=3)
    for item_id in "abc":
        assert conversation.add(user(item_id)).forgotten == ()
    assert conversation.add(user("d")).forgotten == ("a",)
    assert ids(conversation) == ["b", "c", "d"]


def test_over_the_text_bound_as_many_as_needed_are_forgotten() -> None:
    conversation = Conversation(max_chars=10)
    conversation.add(user("a", "123"))
    conversation.add(user("b", "123"))
    conversation.add(user("c", "123"))
    assert conversation.add(user("d", "12345")).forgotten == ("a", "b")
    assert ids(conversation) == ["c", "d"]


def test_the_input_of_a_response_is_no_longer_than_a_conversation_may_be() -> None:
    conversation = Conversation(max_chars=10)
    conversation.add(user("a", "12345"))
    twice = [ItemReference(id="a")] * 2
    assert len(conversation.messages("", twice)) == 2
    with pytest.raises(InvalidEvent, match="input has 15 characters of text, the limit is 10"):
        conversation.messages("", [*twice, ItemReference(id="a")])


def test_deleted_and_shortened_text_no_longer_counts() -> None:
    conversation = Conversation(max_chars=10)
    conversation.add(user("a", "12345"))
    conversation.add(assistant("b", "12345"))
    conversation.delete("a")
    conversation.truncate("b", 0, "12")
    assert conversation.add(user("c", "12345678")).forgotten == ()


def test_system_messages_are_forgotten_last_and_items_in_progress_never() -> None:
    conversation = Conversation(max_items=2)
    conversation.add(system("s", "Be brief."))
    conversation.add(assistant("p", "", "in_progress"))
    assert conversation.add(user("a")).forgotten == ("s",)
    assert conversation.add(user("b")).forgotten == ("a",)
    assert ids(conversation) == ["p", "b"]


def test_the_item_just_added_is_not_forgotten_even_at_the_start() -> None:
    conversation = Conversation(max_items=2)
    conversation.add(user("a"))
    conversation.add(user("b"))
    added = conversation.add(user("c"), "root")
    assert added.forgotten == ("a",)
    assert ids(conversation) == ["c", "b"]


def test_the_model_reads_instructions_and_all_text_in_order() -> None:
    conversation = filled(
        system("s", "Be brief."),
        user("a", "What time is it?"),
        user("b", "And where?"),
        user("c"),
        user("d", "  "),
        assistant("e", "It is ten"),
        CALL,
        FunctionCallOutputItem(id="o", call_id="c", output="1"),
        MessageItem(
            id="f",
            role="user",
            content=(InputText(text="Look:"), InputAudio(), InputText(text="there")),
        ),
    )
    assert conversation.messages("You are kind.") == (
        ChatMessage("system", "You are kind."),
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "What time is it?"),
        ChatMessage("user", "And where?"),
        ChatMessage("assistant", "It is ten"),
        ChatMessage("assistant", "", calls=(FunctionCall("c", "f", "{}"),)),
        ChatMessage("tool", "1", call_id="c"),
        ChatMessage("user", "Look:\nthere"),
    )


def test_an_output_after_another_answer_comes_last_with_its_call() -> None:
    conversation = filled(
        user("a", "Look it up."),
        CALL,
        user("b", "Meanwhile, who are you?"),
        assistant("e", "A friend."),
        FunctionCallOutputItem(id="o", call_id="c", output="1"),
    )
    assert conversation.messages("") == (
        ChatMessage("user", "Look it up."),
        ChatMessage("user", "Meanwhile, who are you?"),
        ChatMessage("assistant", "A friend."),
        ChatMessage("assistant", "", calls=(FunctionCall("c", "f", "{}"),)),
        ChatMessage("tool", "1", call_id="c"),
    )


def test_an_output_before_another_answer_stays_with_its_call() -> None:
    output = FunctionCallOutputItem(id="o", call_id="c", output="1")
    conversation = filled(CALL, user("b", "Hurry."), output, assistant("e", "It is one."))
    assert conversation.messages("") == (
        ChatMessage("assistant", "", calls=(FunctionCall("c", "f", "{}"),)),
        ChatMessage("tool", "1", call_id="c"),
        ChatMessage("user", "Hurry."),
        ChatMessage("assistant", "It is one."),
    )


def test_without_instructions_there_is_no_empty_system_message() -> None:
    assert filled(user("a", "Hi")).messages("") == (ChatMessage("user", "Hi"),)


def test_an_override_is_read_instead_of_the_conversation() -> None:
    conversation = filled(user("a", "one"), user("b", "two"))
    override = [ItemReference(id="b"), user("c", "three")]
    assert conversation.messages("", override) == (
        ChatMessage("user", "two"),
        ChatMessage("user", "three"),
    )
    assert conversation.messages("", []) == ()


def test_conversations_have_ids_of_their_own() -> None:
    assert Conversation().id.startswith("conv_")
    assert Conversation().id != Conversation().id
