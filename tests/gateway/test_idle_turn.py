"""What happens when the user says nothing for `idle_timeout_ms`."""

from session_rig import SPEECH, Rig, answer, messages_asked, turn_detection

from antiphon_proto.messages import Generate

WAIT_MS = 5_000
TRIGGERED = "input_audio_buffer.timeout_triggered"


def answered(rig: Rig, *, idle_timeout_ms: int | None = WAIT_MS) -> None:
    """Let a turn be answered by a second of speech, sent but not heard to its end yet."""
    turn_detection(rig, {"type": "server_vad", "idle_timeout_ms": idle_timeout_ms})
    rig.speak(SPEECH + "." * 20)
    rig.transcribe("What time is it?")
    rig.speak("." * 5)
    answer(rig, "It is noon.", clause_ms=1_000)
    rig.pass_time(10)
    while not any(event["type"] == "response.done" for event in rig.events):
        rig.pass_time(10)
    rig.types()


def test_the_server_speaks_up_after_the_end_of_the_playback() -> None:
    rig = Rig()
    answered(rig)
    still_heard_ms = 0
    while rig.session.audible(rig.now_ms):
        rig.pass_time(10)
        still_heard_ms += 10
    assert still_heard_ms > 500
    rig.pass_time(WAIT_MS - 20)
    assert TRIGGERED not in rig.types()
    rig.pass_time(40)
    event = rig.last(TRIGGERED)
    assert event["audio_end_ms"] - event["audio_start_ms"] <= WAIT_MS
    assert event["item_id"] == rig.last("input_audio_buffer.committed")["item_id"]
    assert rig.types()[:5] == [
        TRIGGERED,
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert messages_asked(rig)[-1].role == "user"


def test_it_speaks_up_again_after_its_own_words() -> None:
    rig = Rig()
    answered(rig)
    rig.pass_time(10_000)
    answer(rig, "Are you there?")
    rig.pass_time(10_000)
    assert [event["type"] for event in rig.events].count(TRIGGERED) == 2


def test_the_users_words_begin_the_wait_anew() -> None:
    rig = Rig()
    answered(rig)
    rig.pass_time(4_000)
    rig.speak(SPEECH)
    rig.pass_time(10_000)
    assert TRIGGERED not in rig.types()


def test_without_the_setting_nothing_happens() -> None:
    rig = Rig()
    answered(rig, idle_timeout_ms=None)
    rig.pass_time(60_000)
    assert TRIGGERED not in rig.types()
    assert rig.submitted(Generate) == 1
    assert rig.session.next_due_ms(rig.now_ms) is None
