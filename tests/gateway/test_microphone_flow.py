"""When a client is told to hold its microphone back, and when to go on."""

from antiphon_gateway.microphone_flow import LEAST_PAUSE_S, PAUSE_AFTER_S, MicrophoneFlow


def paused_flow(now_s: float = 10.0) -> MicrophoneFlow:
    flow = MicrophoneFlow()
    flow.waits(now_s)
    assert flow.judge(now_s + PAUSE_AFTER_S, examined=False) == "pause"
    return flow


def test_many_short_waits_pause_nobody() -> None:
    flow = MicrophoneFlow()
    now_s = 0.0
    for _ in range(100):
        flow.waits(now_s)
        assert flow.judge(now_s, examined=False) is None
        assert flow.due_s(now_s) == now_s + PAUSE_AFTER_S
        now_s += 0.9 * PAUSE_AFTER_S
        assert flow.judge(now_s, examined=False) is None
        flow.goes_on()
        assert flow.due_s(now_s) is None


def test_one_long_wait_pauses_once() -> None:
    flow = paused_flow()
    assert flow.paused
    assert flow.judge(20.0, examined=False) is None


def test_a_pause_ends_when_all_audio_was_examined_and_no_message_waits() -> None:
    flow = paused_flow(10.0)
    at_s = 10.0 + PAUSE_AFTER_S + LEAST_PAUSE_S
    assert flow.judge(at_s, examined=True) is None, "a message waits still"
    flow.goes_on()
    assert flow.judge(at_s, examined=False) is None
    assert flow.judge(at_s, examined=True) == "resume"
    assert not flow.paused
    assert flow.due_s(at_s) is None


def test_a_pause_has_a_least_length_so_that_it_does_not_waver() -> None:
    flow = paused_flow(10.0)
    flow.goes_on()
    paused_s = 10.0 + PAUSE_AFTER_S
    assert flow.judge(paused_s + 0.01, examined=True) is None
    due_s = flow.due_s(paused_s + 0.01)
    assert due_s == paused_s + LEAST_PAUSE_S
    assert flow.judge(due_s, examined=True) == "resume"


def test_a_paused_client_is_looked_after_again_and_again() -> None:
    flow = paused_flow(10.0)
    assert 0 < (flow.due_s(100.0) or 0.0) - 100.0 < 0.2


def test_another_connection_begins_without_a_pause() -> None:
    flow = paused_flow()
    assert flow.forget()
    assert not flow.paused
    assert not flow.forget()
