"""Keys, tokens and ids cannot be found by trying."""

import string
from types import SimpleNamespace

import pytest

from antiphon_gateway.realtime.ids import new_id
from antiphon_gateway.resume_tokens import Claim, digest, new_token, proves
from antiphon_gateway.sessions import Sessions
from antiphon_gateway.tickets import PREFIX, Tickets

GUESSES = 1_000_000
RESUME_GUESSES = 100_000


def test_a_million_guesses_find_no_ticket() -> None:
    tickets = Tickets()
    mine = tickets.issue("", b"", 0.0, 600.0)
    assert mine
    known = mine[: len(PREFIX) + 20]  # even who has seen most of it has 2^72 to try
    assert not any(tickets.find(f"{known}{guess:012x}", 1.0) for guess in range(GUESSES))
    assert tickets.find(mine, 1.0)


def test_no_guess_proves_a_session() -> None:
    kept = digest(new_token())
    assert not any(proves(Claim("s", f"{guess:022d}"), kept) for guess in range(RESUME_GUESSES))


def test_a_million_guesses_find_no_session() -> None:
    token, mine = new_token(), new_id("sess")
    session = SimpleNamespace(
        resumable=True, outbox=SimpleNamespace(closing=None), token_digest=digest(token)
    )
    sessions = object.__new__(Sessions)
    sessions._live = {mine: session}  # type: ignore[dict-item]
    known = mine[: len("sess_") + 10]  # even who has seen half of it, and has the token
    guesses = (Claim(f"{known}{guess:012x}", token) for guess in range(GUESSES))
    assert not any(map(sessions.claimed, guesses))
    assert sessions.claimed(Claim(mine, token)) is session


@pytest.mark.parametrize("prefix", ["sess", "conv", "item", "resp", "call", "event"])
def test_an_id_has_128_random_bits_in_letters_that_openai_takes_back(prefix: str) -> None:
    drawn = new_id(prefix)
    letters = drawn.removeprefix(f"{prefix}_")
    assert len(letters) * 6 >= 128
    assert set(letters) <= set(string.ascii_letters + string.digits + "-_")
    assert len(drawn) <= 32


def test_keys_have_no_pattern() -> None:
    tickets = Tickets()
    values = [str(tickets.issue("", b"", 0.0, 600.0)).removeprefix(PREFIX) for _ in range(1_000)]
    tokens = [new_token() for _ in range(1_000)]
    ids = [new_id("item").removeprefix("item_") for _ in range(1_000)]
    for drawn, length in ((values, 32), (tokens, 22), (ids, 22)):
        assert len(set(drawn)) == 1_000
        assert {len(value) for value in drawn} == {length}
        for place in range(length - 1):
            assert len({value[place] for value in drawn}) > 50
