"""Keys and tokens cannot be found by trying."""

from antiphon_gateway.resume_tokens import Claim, digest, new_token, proves
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


def test_keys_have_no_pattern() -> None:
    tickets = Tickets()
    values = [str(tickets.issue("", b"", 0.0, 600.0)).removeprefix(PREFIX) for _ in range(1_000)]
    tokens = [new_token() for _ in range(1_000)]
    for drawn, length in ((values, 32), (tokens, 22)):
        assert len(set(drawn)) == 1_000
        assert {len(value) for value in drawn} == {length}
        for place in range(length - 1):
            assert len({value[place] for value in drawn}) > 50
