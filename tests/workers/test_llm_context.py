"""Fitting a conversation into a context."""

import itertools

import pytest

from antiphon_proto.conversation import ChatMessage, Truncation
from antiphon_proto.errors import JobFailed
from antiphon_workers.engine import Usage
from antiphon_workers.llm.context import counted, estimate, fit, tokens_per_byte_seen

SYSTEM = ChatMessage("system", "Answer in one short sentence.")
LIMIT_TOKENS = 400


def conversation(turns: int) -> list[ChatMessage]:
    messages = [SYSTEM]
    for turn in range(turns):
        messages.append(ChatMessage("user", f"question {turn} " + "what? " * 8))
        messages.append(ChatMessage("assistant", f"answer {turn} " + "that. " * 8))
    return [*messages, ChatMessage("user", "the last question")]


def test_a_conversation_that_fits_is_kept_whole() -> None:
    assert fit(conversation(3), LIMIT_TOKENS) == conversation(3)


@pytest.mark.parametrize("turns", [9, 20, 57, 200])
def test_a_long_conversation_keeps_its_system_message_and_its_newest_turns(turns: int) -> None:
    kept = fit(conversation(turns), LIMIT_TOKENS)
    assert kept[0] == SYSTEM
    assert kept[1].role == "user"
    assert kept[1:] == conversation(turns)[-len(kept) + 1 :]
    assert LIMIT_TOKENS / 4 < estimate(kept, 1 / 3) <= LIMIT_TOKENS


def test_the_cut_stays_for_several_turns_as_the_conversation_grows() -> None:
    beginnings = [fit(conversation(turns), LIMIT_TOKENS)[1] for turns in range(8, 40)]
    changes = sum(one != other for one, other in itertools.pairwise(beginnings))
    assert 4 <= changes <= 32 / 2


def test_a_begun_answer_stays_with_its_question() -> None:
    messages = [*conversation(50), ChatMessage("assistant", "I was saying")]
    kept = fit(messages, LIMIT_TOKENS)
    assert kept[-2:] == messages[-2:]


def test_a_last_message_over_the_limit_is_an_error_that_names_it() -> None:
    messages = [*conversation(5), ChatMessage("user", "word " * 1_000)]
    with pytest.raises(JobFailed, match="over the limit of 400") as caught:
        fit(messages, LIMIT_TOKENS)
    assert caught.value.code == "context_length_exceeded"
    assert not caught.value.retryable


def test_the_ratio_learnt_from_a_refused_prompt_makes_it_fit() -> None:
    messages = [SYSTEM, *(ChatMessage("user", "数字" * 10) for _ in range(20))]
    real_tokens = 20 * 60
    ratio = tokens_per_byte_seen(messages, real_tokens)
    assert estimate(fit(messages, LIMIT_TOKENS, ratio), ratio) <= LIMIT_TOKENS
    assert len(fit(messages, LIMIT_TOKENS, ratio)) < len(messages)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
def test_what_is_retained_is_what_the_client_asks_for(ratio: float) -> None:
    sizes = [
        estimate(
            fit(conversation(turns), LIMIT_TOKENS, truncation=Truncation(True, ratio))[1:], 1 / 3
        )
        for turns in range(12, 60)
    ]
    turn_tokens = estimate(conversation(1)[1:3], 1 / 3) * 1.1
    allowed = LIMIT_TOKENS - estimate([SYSTEM], 1 / 3)
    assert max(sizes) <= allowed
    assert allowed * ratio - 2 * turn_tokens <= min(sizes) <= allowed * ratio + turn_tokens


def test_the_clients_own_limit_counts_what_follows_the_instructions() -> None:
    kept = fit(conversation(20), LIMIT_TOKENS, truncation=Truncation(True, 0.5, 120))
    assert kept[0] == SYSTEM
    assert estimate(kept[1:], 1 / 3) <= 120


def test_the_last_turn_stays_however_small_the_clients_limit_is() -> None:
    kept = fit(conversation(20), LIMIT_TOKENS, truncation=Truncation(True, 0.5, 1))
    assert kept == [SYSTEM, conversation(20)[-1]]


def test_nothing_is_dropped_where_that_is_not_allowed() -> None:
    assert fit(conversation(50), LIMIT_TOKENS, truncation=Truncation(False)) == conversation(50)


def test_what_is_counted_is_what_fits_to_the_last_token() -> None:
    def count(before: str, message: ChatMessage) -> float:
        return len(message.content.split()) + (5 if before == "start" else 2)

    messages = conversation(6)
    exact = sum(
        count(before, message)
        for before, message in zip(
            ["start", *(one.role for one in messages)], messages, strict=False
        )
    )
    assert fit(messages, int(exact), count=count) == messages
    shorter = fit(messages, int(exact) - 1, count=count)
    assert shorter == [SYSTEM, *messages[-len(shorter) + 1 :]]
    assert len(shorter) < len(messages)


def test_what_a_server_counted_stays_and_the_rest_is_estimated() -> None:
    messages, written = [SYSTEM, ChatMessage("user", "a" * 90)], "b" * 45
    read_tokens = (29 + 90) / 4.5 + 2 * 8
    assert counted(Usage(7, 9, "length"), messages, written) == Usage(7, 9, "length")
    assert counted(Usage(), messages, written) == Usage(int(read_tokens), 10)
    assert counted(Usage(output_tokens=3), messages, written) == Usage(int(read_tokens), 3)
