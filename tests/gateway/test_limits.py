"""How much a client may take: audio, places, pending input, time without a request. Pure."""

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from antiphon_gateway.allowance import MAX_PAUSE_S, Allowance, messages_in
from antiphon_gateway.callers import Caller, caller_of
from antiphon_gateway.idle_timer import IdleTimer
from antiphon_gateway.input_budget import InputBudget, MeteredProtocol
from antiphon_gateway.quiet_connections import QuietConnections
from antiphon_gateway.seats import Limits, Refusal, Seat, Seats, of_sessions
from antiphon_proto.config import Gateway

HERE = "127.0.0.1"
AWAY = "203.0.113.9"


def test_real_time_is_never_slowed() -> None:
    allowance = Allowance(rate=1.5, burst=1.0, now_s=0.0)
    assert not any(allowance.take(0.02, 0.02 * tick) for tick in range(1, 10_000))


def test_a_recording_passes_at_once_and_a_flood_is_held_to_the_rate() -> None:
    allowance = Allowance(rate=1.5, burst=60.0, now_s=0.0)
    assert allowance.take(60.0, 0.0) == 0.0
    now_s = sent_s = 0.0
    while now_s < 600.0:
        now_s += allowance.take(1.0, now_s)
        sent_s += 1.0
    assert sent_s / now_s == pytest.approx(1.5, rel=0.01)


def test_one_giant_message_is_not_held_against_its_sender_for_ever() -> None:
    allowance = Allowance(rate=1.5, burst=60.0, now_s=0.0)
    assert allowance.take(3_600.0, 0.0) == MAX_PAUSE_S
    assert allowance.take(0.02, MAX_PAUSE_S + 1.0) == 0.0


def test_what_was_saved_up_is_no_more_than_a_burst() -> None:
    allowance = Allowance(rate=1.5, burst=10.0, now_s=0.0)
    assert allowance.take(10.0, 1_000_000.0) == 0.0
    assert allowance.take(1.5, 1_000_000.0) == pytest.approx(1.0)


def test_rate_0_is_no_limit() -> None:
    assert Allowance(rate=0.0, burst=0.0, now_s=0.0).take(1e6, 0.0) == 0.0


def test_no_real_client_waits_for_its_messages() -> None:
    """What the page and the Python client send most of, at once, for an hour."""
    limits = Gateway()
    allowance = Allowance(limits.message_rate, limits.message_burst, now_s=0.0)
    longest = "x" * 65_536  # characters of one item; a conversation holds 1,000 and eight of these
    restored = [*("x" * 500 for _ in range(992)), *(longest for _ in range(8))]
    assert not any(allowance.take(messages_in(item, 0.0), 0.0) for item in restored)
    playout = "{}"
    for tenth in range(1, 36_000):
        now_s = tenth / 10
        sent = [playout, playout]  # of a reply that ends and of the next one
        sent += [playout] * (tenth % 5 == 0)  # acknowledgements
        waits = [allowance.take(messages_in(each, 0.0), now_s) for each in sent]
        waits += [allowance.take(messages_in(bytes(60), 0.0), now_s)] * 5  # compressed speech
        waits += [allowance.take(messages_in(bytes(1_300), 0.02), now_s)] * 5
        assert not any(waits)


@pytest.mark.parametrize(
    ("message", "audio_s", "messages"),
    [
        ("{}", 0.0, 1.0),
        ("", 0.0, 1.0),
        ("x" * 640_000, 0.0, 10.0),
        (bytes(2_000), 0.02, 0.0),
        ("x" * 640_000, 10.0, 0.0),
        (bytes(300), 128 / 48_000, 0.0),
        ("x" * 100, 128 / 48_000, 0.0),
        ("x" * 100, 1 / 24_000, 1.0),
        (bytes(24), 1 / 24_000, 0.1),
        (bytes(24), 0.0, 0.1),
    ],
)
def test_what_is_not_audio_counts_as_a_message_and_a_long_one_as_several(
    message: str | bytes, audio_s: float, messages: float
) -> None:
    assert messages_in(message, audio_s) == messages


def refusal(place: Seat | Refusal) -> tuple[int, str] | None:
    return (place.status, place.cause) if isinstance(place, Refusal) else None


def test_places_are_counted_in_all_by_address_and_by_key() -> None:
    limits = Gateway(max_sessions=5, max_sessions_per_address=2, max_sessions_per_key=3)
    seats = Seats(of_sessions(limits))
    first = seats.take(AWAY, "key-0")
    assert isinstance(first, Seat)
    assert refusal(seats.take(AWAY, "key-0")) is None
    assert refusal(seats.take(AWAY, "key-1")) == (429, "address")
    assert refusal(seats.take("198.51.100.7", "key-0")) is None
    assert refusal(seats.take("198.51.100.7", "key-0")) == (429, "key_sessions")
    assert refusal(seats.take("198.51.100.8", "key-1")) is None
    assert refusal(seats.take("198.51.100.8", "key-1")) is None
    assert refusal(seats.take("198.51.100.9", "key-1")) == (503, "full")
    seats.leave(first)
    assert refusal(seats.take(AWAY, "key-0")) is None
    assert seats.taken == 5


def test_this_machine_and_sessions_without_a_key_have_only_the_limit_of_all() -> None:
    seats = Seats(Limits(in_all=9, of_address=1, of_key=1))
    assert [refusal(seats.take(HERE, "")) for _ in range(9)] == [None] * 9


@pytest.mark.parametrize(
    ("peer", "headers", "behind_proxy", "caller"),
    [
        (HERE, {}, False, Caller(HERE, True)),
        ("::1", {}, False, Caller("::1", True)),
        ("::ffff:127.0.0.1", {}, False, Caller(HERE, True)),
        (AWAY, {}, False, Caller(AWAY, False)),
        ("2001:db8:1:2:3::4", {}, False, Caller("2001:db8:1:2::/64", False)),
        ("fe80::1%eth0", {}, False, Caller("fe80::/64", False)),
        (HERE, {"X-Forwarded-For": AWAY}, False, Caller(HERE, False)),
        (HERE, {"Forwarded": "for=1.1.1.1"}, False, Caller(HERE, False)),
        (HERE, {"X-Forwarded-For": AWAY}, True, Caller(AWAY, False)),
        (HERE, {"X-Forwarded-For": f"{HERE}, {AWAY}"}, True, Caller(AWAY, False)),
        (HERE, {"X-Forwarded-For": HERE}, True, Caller(HERE, False)),
        (HERE, {"X-Forwarded-For": "nonsense"}, True, Caller("unknown", False)),
        (HERE, {}, True, Caller(HERE, True)),
        (None, {}, False, Caller("unknown", False)),
    ],
)
def test_the_sender_is_who_connected_or_whom_our_proxy_names(
    peer: str | None, headers: dict[str, str], behind_proxy: bool, caller: Caller
) -> None:
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer or "")
    assert caller_of(request, behind_proxy=behind_proxy) == caller


class Inner(asyncio.Protocol):
    """Takes what the meter passes on."""

    def __init__(self) -> None:
        self.taken = b""

    def data_received(self, data: bytes) -> None:
        self.taken += data


def test_the_client_with_the_most_pending_input_is_dropped() -> None:
    budget = InputBudget(limit_bytes=100)
    dropped: list[str] = []
    small, large = (
        budget.open(lambda name=name: dropped.append(name)) for name in ("small", "large")
    )
    inner = Inner()
    meter = MeteredProtocol(inner, large)
    meter.data_received(bytes(70))
    small.received(30)
    assert dropped == []
    small.received(1)
    assert dropped == ["large"]
    assert budget.pending_bytes == 31
    meter.data_received(b"more")
    assert inner.taken == bytes(70)
    assert budget.pending_bytes == 31


@pytest.mark.parametrize("message", [bytes(10), "x" * 125, "é" * 200, bytes(65_535), "x" * 70_000])
def test_a_handled_message_is_not_pending(message: str | bytes) -> None:
    budget = InputBudget()
    account = budget.open(lambda: None)
    size = len(message if isinstance(message, bytes) else message.encode())
    header = 2 + 4 + (0 if size < 126 else 2 if size < 65_536 else 8)
    account.received(header + size)
    account.handled(message)
    assert budget.pending_bytes == 0
    account.received(5)
    account.close()
    account.close()
    account.received(5)
    assert budget.pending_bytes == 0


class Wire(asyncio.Transport):
    """Stands for a connection's transport."""

    waiting_bytes = 0
    cut = False

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def abort(self) -> None:
        self.cut = True


class Line:
    """Stands for a network connection."""

    closed = False

    def __init__(self) -> None:
        self.transport = Wire()

    def force_close(self) -> None:
        self.closed = True


def test_only_connections_without_a_request_for_long_are_closed() -> None:
    quiet, polled, held, fresh = Line(), Line(), Line(), Line()
    watch = QuietConnections(limit_s=10, unread_timeout_s=60)
    watch.sweep([quiet, polled, held], 0.0)
    watch.begin(held)
    watch.begin(polled)
    watch.end(polled, 9.5)
    assert watch.sweep([quiet, polled, held, fresh], 10.0) == 1
    assert [line.closed for line in (quiet, polled, held, fresh)] == [True, False, False, False]
    watch.end(held, 15.0)
    assert watch.sweep([polled, held, fresh], 20.0) == 2
    assert not held.closed


def test_whose_answer_waits_is_not_quiet_and_is_cut_off_once_nothing_of_it_is_taken() -> None:
    deaf, slow, busy = Line(), Line(), Line()
    watch = QuietConnections(limit_s=10, unread_timeout_s=60)
    watch.begin(busy)
    for line in (deaf, slow, busy):
        line.transport.waiting_bytes = 1_000
    for now_s in range(60):
        slow.transport.waiting_bytes = 1_000 - now_s // 20
        assert watch.sweep([deaf, slow, busy], now_s) == 0
    assert watch.sweep([deaf, slow, busy], 60.0) == 2
    assert [line.transport.cut for line in (deaf, slow, busy)] == [True, False, True]
    slow.transport.waiting_bytes = 0
    assert [watch.sweep([slow], now_s) for now_s in (61.0, 70.0, 71.0)] == [0, 0, 1]
    assert slow.closed
    assert not slow.transport.cut


async def test_idleness_is_told_once_and_not_while_something_happens() -> None:
    rung = asyncio.Event()
    timer = IdleTimer(0.05, rung.set)
    for _ in range(3):
        timer.touch()
        await asyncio.sleep(0)
    assert not rung.is_set()
    await rung.wait()
    rung.clear()
    timer.touch()
    await rung.wait()
    timer.touch()
    timer.stop()


async def test_an_idle_timer_of_0_never_rings() -> None:
    def fail() -> Any:
        raise AssertionError

    IdleTimer(0.0, fail).touch()
    await asyncio.sleep(0)
