"""What is sent to a client: numbered, kept for another connection, handed out once."""

from antiphon_gateway.outbox import BEHIND_BYTES, MAX_KEPT_BYTES, MAX_MESSAGES, Feed, Outbox
from antiphon_gateway.resume_tokens import Claim, claim_in, digest, new_token, proves


async def sent(feed: Feed, count: int) -> list[str | bytes | None]:
    return [await feed.get() for _ in range(count)]


async def test_another_connection_gets_what_follows_the_last_message_received() -> None:
    outbox = Outbox(keeps=True)
    for text in "abcd":
        assert outbox.put(text)
    assert await sent(outbox.attach(), 3) == ["a", "b", "c"]
    assert outbox.rewind(1)
    assert await sent(outbox.attach(), 3) == ["b", "c", "d"]
    assert outbox.sent == 4


async def test_what_was_acknowledged_or_never_sent_cannot_be_sent_again() -> None:
    outbox = Outbox(keeps=True)
    for text in "abc":
        outbox.put(text)
    await sent(outbox.attach(), 3)
    outbox.acknowledge(2)
    assert not outbox.rewind(1)
    assert not outbox.rewind(4)
    assert outbox.rewind(2)


async def test_of_what_was_sent_only_so_much_is_kept() -> None:
    outbox = Outbox(keeps=True)
    feed = outbox.attach()
    half = "x" * (MAX_KEPT_BYTES // 2)
    for _ in range(3):
        outbox.put(half)
        await feed.get()
    assert not outbox.rewind(0)
    assert outbox.rewind(1)


async def test_a_client_that_cannot_resume_costs_no_memory() -> None:
    outbox = Outbox()
    outbox.put("a")
    await outbox.attach().get()
    assert not outbox.rewind(0)


async def test_a_client_is_behind_until_half_of_what_waits_has_gone() -> None:
    outbox, told = Outbox(), []
    outbox.tell_of_room = lambda: told.append(outbox.behind)
    for _ in range(4):
        outbox.put("x" * (BEHIND_BYTES // 4))
    assert not outbox.behind
    outbox.put("x")
    feed = outbox.attach()
    await sent(feed, 2)
    assert outbox.behind
    assert not told
    await sent(feed, 1)
    assert told == [False]
    outbox.put("x" * (BEHIND_BYTES // 4))
    await sent(feed, 3)
    assert told == [False]


async def test_a_new_connection_ends_the_one_before() -> None:
    outbox = Outbox(keeps=True)
    old = outbox.attach()
    told: list[bool] = []
    old.on_close(lambda: told.append(True))
    new = outbox.attach()
    outbox.put("a")
    assert await old.get() is None
    assert old.closing == Feed.TAKEN_OVER
    assert told == [True]
    assert await new.get() == "a"
    assert new.closing is None


async def test_what_waits_is_sent_before_the_close_code() -> None:
    outbox = Outbox()
    feed = outbox.attach()
    outbox.put("a")
    outbox.close(1012, "later")
    outbox.close(1000, "")
    assert await sent(feed, 2) == ["a", None]
    assert feed.closing == (1012, "later")


async def test_a_full_outbox_refuses() -> None:
    outbox = Outbox()
    assert all(outbox.put("x") for _ in range(MAX_MESSAGES))
    assert not outbox.put("x")


def test_only_the_token_itself_proves_a_session() -> None:
    token = new_token()
    assert len(token) >= 22
    assert proves(Claim("sess_1", token), digest(token))
    assert not proves(Claim("sess_1", token[:-1]), digest(token))
    assert not proves(Claim("sess_1", ""), digest(token))


def test_a_claim_is_read_from_the_subprotocols() -> None:
    assert claim_in(["antiphon.v1", "antiphon.resume.sess_1.tok-en_"]) == ("sess_1", "tok-en_")
    for entry in ("antiphon.resume.sess_1", "antiphon.resume..x", "antiphon.resume.s.", "x"):
        assert claim_in([entry]) is None
    assert claim_in(["antiphon.resume.s." + "x" * 300]) is None
