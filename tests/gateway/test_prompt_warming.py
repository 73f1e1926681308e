"""What is read ahead of the answer, and what the model knows of the end of the message."""

import pytest
from session_rig import END, PAUSE, SPEECH, Rig, messages_asked, spoken_turn

from antiphon_gateway.dispatch.load import StageLoad
from antiphon_gateway.live_settings import LiveSettings
from antiphon_gateway.prompt_warming import MessageEnd, PromptWarming, has_room_to_spare
from antiphon_gateway.realtime import catalogue
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.speculation import has_room
from antiphon_proto.config import Config, TurnTaking
from antiphon_proto.conversation import ChatMessage
from antiphon_proto.messages import (
    Done,
    Failed,
    Generate,
    ReadPrompt,
    Transcribe,
    Transcript,
    TurnEnd,
)

SYSTEM = ChatMessage("system", "Be brief.")
DONE = Done(engine_ms=1.0)
BUSY = StageLoad(waiting=1, oldest_wait_ms=400, running=4, slots=4)


class Bench:
    """A warming and what it asked for."""

    def __init__(self, **settings: bool) -> None:
        self.load = StageLoad(slots=4)
        self.context = SessionContext(
            Config(turn_taking=TurnTaking(**settings)),  # type: ignore[arg-type]
            session_id="s",
            extensions=False,
            load=lambda _: self.load,
        )
        self.warming = PromptWarming(
            self.context,
            LiveSettings(self.context, catalogue.from_config(self.context.config), "realtime"),
        )

    def read(self, text: str) -> None:
        self.warming.read((SYSTEM, ChatMessage("user", text)))

    def settle(self, text: str) -> None:
        self.warming.settle((SYSTEM, ChatMessage("user", text)))

    def effects(self) -> list[str]:
        """Return the words that were asked about, and `cancel` for each cancellation."""
        return [
            effect.request.command.messages[-1].content if hasattr(effect, "request") else "cancel"
            for effect in self.context.take_effects()
        ]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_newest_words_wait_while_others_are_read(bench: Bench) -> None:
    for text in ("", "What", "What time"):
        bench.read(text)
    assert bench.effects() == [""]
    bench.warming.on_result(DONE)
    assert bench.effects() == ["What time"]
    bench.warming.on_result(DONE)
    bench.read("What time")
    assert bench.effects() == []


def test_settled_words_replace_what_is_being_read(bench: Bench) -> None:
    bench.read("What time")
    bench.settle("What time is it?")
    assert bench.effects() == ["What time", "cancel", "What time is it?"]
    bench.read("What time is")
    assert bench.effects() == []
    bench.warming.on_result(TurnEnd(probability=0.7))
    assert bench.warming.take_end() == MessageEnd("What time is it?", 0.7)
    assert bench.warming.take_end() is None


def test_what_was_known_of_the_stable_words_is_told_again_of_the_final_ones(bench: Bench) -> None:
    bench.read("What time is it")
    bench.warming.on_result(TurnEnd(probability=0.7))
    bench.warming.on_result(DONE)
    bench.warming.take_end()
    bench.settle("What time is it?")
    assert bench.effects() == ["What time is it"]
    assert bench.warming.take_end() == MessageEnd("What time is it?", 0.7)


def test_a_failure_is_not_told_and_reading_goes_on(bench: Bench) -> None:
    bench.read("What")
    bench.read("What time")
    bench.warming.on_result(Failed(code="x", message="x", retryable=False))
    assert bench.effects() == ["What", "What time"]
    assert bench.warming.take_end() is None


def test_speech_that_goes_on_voids_what_was_settled(bench: Bench) -> None:
    bench.settle("What time is it?")
    bench.warming.begin()
    bench.read("What time is it in")
    assert bench.effects() == ["What time is it?", "cancel", "What time is it in"]


def test_nothing_is_read_ahead_when_the_stage_is_busy(bench: Bench) -> None:
    bench.load = StageLoad(running=2, slots=4)
    bench.read("What")
    assert bench.effects() == []
    bench.settle("What time is it?")
    assert bench.effects() == ["What time is it?"]
    bench.warming.begin()
    bench.load = StageLoad(running=4, slots=4)
    bench.settle("What time is it?")
    assert bench.effects() == ["cancel"]


def test_reading_ahead_can_be_switched_off() -> None:
    bench = Bench(warming=False)
    bench.read("What")
    bench.settle("What time is it?")
    assert bench.effects() == []


def test_the_models_word_on_the_end_alone_can_be_switched_off() -> None:
    bench = Bench(score_end=False)
    bench.read("What time")
    bench.warming.on_result(TurnEnd(probability=0.7))
    bench.warming.on_result(DONE)
    bench.settle("What time is it?")
    bench.warming.on_result(TurnEnd(probability=0.7))
    assert bench.effects() == ["What time", "What time is it?"]
    assert bench.warming.take_end() is None


@pytest.mark.parametrize(
    ("load", "room"),
    [
        (StageLoad(slots=1), True),
        (StageLoad(running=1, slots=1), False),
        (StageLoad(running=1, slots=4), True),
        (StageLoad(running=2, slots=4), False),
        (StageLoad(waiting=1, slots=4), False),
        (StageLoad(), False),
    ],
)
def test_half_of_the_slots_must_be_free(load: StageLoad, room: bool) -> None:
    assert has_room_to_spare(load) is room


def test_speculation_needs_that_no_job_has_waited_long() -> None:
    assert has_room([StageLoad(), StageLoad(waiting=3, oldest_wait_ms=100)], 150)
    assert not has_room([StageLoad(), StageLoad(waiting=1, oldest_wait_ms=151)], 150)


# --- in a session ----------------------------------------------------------------------------


def test_a_session_reads_from_the_first_word_on_and_asks_the_model_after_it() -> None:
    rig = Rig(config=Config())
    rig.speak(SPEECH)
    command = rig.job(ReadPrompt).command
    assert isinstance(command, ReadPrompt)
    assert command.messages[-1] == ChatMessage("user", "")
    rig.answer(rig.job(ReadPrompt), DONE)
    rig.speak(PAUSE)
    rig.transcribe("What time is it?")
    kinds = [type(request.command) for request in rig.submissions]
    assert kinds.index(Generate) == kinds.index(ReadPrompt, kinds.index(Transcribe)) + 1


def turn_end_waits_ms(config: Config) -> list[float]:
    """Return how long a turn waits that the model calls over, and one that it does not."""
    waits = []
    for probability in (0.9, 0.0001):
        rig = Rig(config=config)
        rig.speak(SPEECH + PAUSE)
        rig.answer(rig.job(ReadPrompt), DONE)
        rig.transcribe("Tell me the time")
        rig.answer(rig.job(ReadPrompt), TurnEnd(probability=probability))
        began_ms = rig.now_ms
        while "input_audio_buffer.committed" not in rig.types():
            rig.speak(".")
        waits.append(rig.now_ms - began_ms)
    return waits


def test_a_message_that_has_ended_by_the_models_word_ends_the_turn_early() -> None:
    over, open_ = turn_end_waits_ms(Config())
    assert over < open_


def test_a_model_whose_word_does_not_count_changes_no_turn() -> None:
    over, open_ = turn_end_waits_ms(Config(turn_taking=TurnTaking(score_end=False)))
    assert over == open_


def test_a_busy_machine_speculates_on_no_turn_but_answers_it() -> None:
    rig = Rig()
    rig.load = BUSY
    rig.speak(SPEECH + PAUSE)
    rig.transcribe("What time is it?")
    assert rig.submitted(Generate) == 0
    rig.speak(END)
    assert rig.submitted(Generate) == 1
    assert messages_asked(rig) == [ChatMessage("user", "What time is it?")]


def test_nothing_is_read_while_an_answer_is_made_that_speech_does_not_interrupt() -> None:
    rig = Rig(config=Config())
    rig.send(
        type="session.update",
        session={
            "audio": {
                "input": {"turn_detection": {"type": "semantic_vad", "interrupt_response": False}}
            }
        },
    )
    spoken_turn(rig)
    rig.speak(END)
    assert rig.submitted(Generate) == 1
    before = rig.submitted(ReadPrompt)
    rig.speak(SPEECH)
    job = rig.job(Transcribe) if rig.submitted(Transcribe) > 1 else None
    if job is not None:
        rig.answer(job, Transcript(text="And"))
    assert rig.submitted(ReadPrompt) == before
