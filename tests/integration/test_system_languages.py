"""Two voices of different languages, two processes: each session is spoken to in its own."""

from collections.abc import Iterator

import pytest
from system import GATEWAY, SIMULATED, System, system
from system_client import Client, connected

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

VOICES = {"tts-0": ("joe", "en"), "tts-1": ("thorsten", "de")}
TURNS = 3


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    settings = {**SIMULATED, "simulated.reply": "One sentence. And another one."}
    with system({**settings, "log.level": "DEBUG", "tts.slots": 4}) as running:
        running.start(GATEWAY, "stt-0", "llm-0")
        for name, (voice, language) in VOICES.items():
            running.settings.update({"tts.model": voice, "tts.language": language})
            running.start(name)
        running.wait_ready()
        running.wait_for(lambda: len(voices(running)) == len(VOICES), 30.0)
        yield running
        running.assert_no_traceback()


def voices(server: System) -> list[str]:
    answer = server.get("/v1/catalogue")
    assert answer is not None
    voices: list[str] = answer.json()["voices"]
    return voices


def spoken(server: System) -> dict[str, int]:
    """Return how many clauses each voice has spoken."""
    return {
        name: sum(event["event"] == "job done" for event in server.events(name)) for name in VOICES
    }


async def talk(client: Client) -> None:
    for _ in range(TURNS):
        await client.say_text("Tell me something.")
        assert (await client.done())["status"] == "completed"


async def test_the_sessions_language_picks_the_voice_and_the_worker(server: System) -> None:
    assert voices(server) == ["joe", "thorsten"]
    for name, (voice, language) in VOICES.items():
        before = spoken(server)
        async with connected(server.realtime_url) as client:
            session = await client.update(
                audio={"input": {"transcription": {"language": f"{language}-XX"}}}
            )
            assert session["audio"]["output"]["voice"] == voice
            await talk(client)
        after = spoken(server)
        assert {each for each in VOICES if after[each] > before[each]} == {name}
        assert after[name] - before[name] >= TURNS


async def test_a_language_that_no_voice_speaks_is_refused_with_those_there_are(
    server: System,
) -> None:
    async with connected(server.realtime_url) as client:
        await client.send(
            "session.update",
            session={"type": "realtime", "audio": {"output": {"language": "fr"}}},
        )
        error = await client.error()
        assert error["param"] == "session.audio.output.language"
        assert "no voice speaks 'fr'; there is joe (en), thorsten (de)" in error["message"]
        await talk(client)


async def test_when_its_only_voice_is_gone_another_speaks_on(server: System) -> None:
    async with connected(server.realtime_url) as client:
        await client.update(audio={"output": {"language": "de"}})
        await talk(client)
        server.kill("tts-1")
        server.wait_for(lambda: voices(server) == ["joe"], 30.0)
        await talk(client)
