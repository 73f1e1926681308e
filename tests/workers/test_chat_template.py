"""A chat template learned from its renderings, and prompts that stop at the last word."""

from collections.abc import Sequence

from antiphon_proto.conversation import ChatMessage
from antiphon_workers.llm.chat_template import learn

SYSTEM = ChatMessage("system", "Be kind.")
QUESTION = ChatMessage("user", "Who is")
ANSWER = ChatMessage("assistant", "Nobody.")


def chatml(messages: Sequence[ChatMessage]) -> str:
    said = "".join(f"<{message.role}>{message.content}</>\n" for message in messages)
    return said + "<assistant>"


def strict(messages: Sequence[ChatMessage]) -> str | None:
    roles = [message.role for message in messages if message.role != "system"]
    return chatml(messages) if roles == [*roles[:1], "assistant", "user"] else None


def numbered(messages: Sequence[ChatMessage]) -> str:
    said = "".join(f"[{place}]{message.content}" for place, message in enumerate(messages))
    return said + "[answer]"


def test_a_prompt_ends_with_the_last_word():
    template = learn(chatml)
    assert template is not None
    assert template.closing == "</>\n<assistant>"
    prompt = template.open_prompt([SYSTEM, QUESTION, ANSWER, QUESTION])
    assert prompt == "<system>Be kind.</>\n<user>Who is</>\n<assistant>Nobody.</>\n<user>Who is"
    assert template.open_prompt([QUESTION]) == "<user>Who is"


def test_the_closed_prompt_begins_with_the_open_one():
    template = learn(chatml)
    assert template is not None
    conversation = [SYSTEM, QUESTION, QUESTION, ANSWER, ANSWER, QUESTION]
    assert chatml(conversation) == f"{template.open_prompt(conversation)}{template.closing}"


def test_a_strict_template_has_no_prompt_for_what_it_refuses():
    template = learn(strict)
    assert template is not None
    assert template.open_prompt([QUESTION, ANSWER, QUESTION]) is not None
    assert template.open_prompt([QUESTION, QUESTION]) is None


def test_pieces_that_are_not_the_same_everywhere_are_not_used():
    template = learn(numbered)
    assert template is not None
    assert template.open_prompt([SYSTEM, QUESTION]) == "[0]Be kind.[1]Who is"
    assert template.open_prompt([SYSTEM, QUESTION, ANSWER, QUESTION]) is None


def test_a_template_that_renders_nothing_is_not_learned():
    assert learn(lambda _: None) is None
    assert learn(lambda _: "always the same") is None
