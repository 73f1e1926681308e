"""What a session hears in its corners: commits, clears and settings in mid-utterance."""

from session_rig import Rig

from antiphon_gateway.vad import WINDOW_SAMPLES

WINDOW = bytes(2 * WINDOW_SAMPLES)


def test_audio_committed_before_it_was_examined_starts_no_second_turn() -> None:
    rig = Rig()
    for _ in range(100):
        rig.session.on_audio(WINDOW, 16_000)
    rig.send(type="input_audio_buffer.commit")
    rig.types()
    rig.examine("x" * 100)
    assert rig.types() == []


def test_audio_cleared_before_it_was_examined_starts_no_turn() -> None:
    rig = Rig()
    for _ in range(100):
        rig.session.on_audio(WINDOW, 16_000)
    rig.send(type="input_audio_buffer.clear")
    rig.types()
    rig.examine("x" * 100)
    assert rig.types() == []


def test_half_a_sample_does_not_survive_a_clear() -> None:
    rig = Rig()
    rig.session.on_audio(bytes(3), 16_000)
    rig.send(type="input_audio_buffer.clear")
    rig.session.on_audio(bytes(1), 16_000)
    rig.examine("")
    assert rig.detected_bytes == 2
