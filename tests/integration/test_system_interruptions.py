"""People speak, hum and rustle over a spoken answer; words are recognised by the real model."""

import itertools
from collections.abc import Iterator

import pytest
from system import System, running_system
from system_client import DATA, MIC_HZ, Client, Microphone, connected, open_microphone, speech

from antiphon_proto.audio import read_wav

pytestmark = [pytest.mark.integration, pytest.mark.models]

REPLY = (
    "Rain is made when warm air rises and cools down, because cool air holds less water. "
    "The water turns into very small drops, and these drops grow until they fall to the ground."
)
STARTED = "input_audio_buffer.speech_started"


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    settings = {"llm.engine": "simulated", "simulated.reply": REPLY}
    with running_system(settings, ready_within_s=90.0) as system:
        yield system
        system.assert_no_traceback()


async def begin_answer(client: Client) -> None:
    """Ask, and wait until the answer has been audible for a while."""
    await client.say_text("How is rain made?")
    await client.event("audio")
    await client.event("audio", lambda event: event["timestamp"] > 40_000)


def ducks(client: Client) -> list[bool]:
    """Return how the duck has changed so far; a pause is another event of the same duck."""
    told = [(event["ducked"], event["paused"]) for event in client.of_type("antiphon.duck")]
    for before, after in itertools.pairwise([(False, False), *told]):
        assert after in ((True, False), (True, True), (False, False))
        assert before != after, "the same was told twice"
    return [ducked for ducked, _ in itertools.groupby(ducked for ducked, _ in told)]


async def test_a_person_who_speaks_over_an_answer_stops_it_and_is_answered(server: System) -> None:
    async with (
        connected(server.realtime_url, extended=True) as client,
        open_microphone(Microphone(client)) as microphone,
    ):
        await begin_answer(client)
        microphone.say(speech("would_you_please"))
        assert (await client.event("antiphon.duck"))["ducked"]
        await client.event(STARTED)
        done = await client.done()
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        kind = "conversation.item.input_audio_transcription.completed"
        heard = (await client.event(kind))["transcript"]
        assert "living room lamp" in heard.lower()
        await client.event("response.created")
        assert ducks(client) == [True]


@pytest.mark.parametrize(
    "clip", ["backchannels/okay_sure", "backchannels/um", "nonspeech/friction"]
)
async def test_who_only_listens_or_makes_a_noise_does_not_stop_the_answer(
    server: System, clip: str
) -> None:
    pcm, rate = read_wav(DATA / f"{clip}.wav")
    assert rate == MIC_HZ
    async with (
        connected(server.realtime_url, extended=True) as client,
        open_microphone(Microphone(client)) as microphone,
    ):
        await begin_answer(client)
        microphone.say(pcm)
        done = await client.done()
        assert done["status"] == "completed"
        assert done["output"][0]["content"][0]["transcript"] == REPLY
        assert microphone.said.is_set()
        assert STARTED not in {event["type"] for event in client.events}
        assert ducks(client) in ([], [True, False])
