"""A filler is spoken while a function runs; stock SDKs take it without errors."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from agents import function_tool
from system import SIMULATED, System, running_system
from system_agents import agent_talk
from system_client import OUT_HZ
from system_sdk import SdkTalk, open_microphone, sdk_talk

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

FILLER = "One moment please, I have to look that up in a very long list of things"
REPLY = "It is ten."
SETTINGS = {
    **SIMULATED,
    "simulated.call_arguments": '{"city":"Oslo"}',
    "simulated.reply": REPLY,
    "tools.filler": FILLER,
    "tools.filler_after_ms": 200,
}
TOOL: Any = {"type": "function", "name": "get_time", "parameters": {"type": "object"}}
INTERRUPTED = "input_audio_buffer.speech_started"


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running_system(SETTINGS, ready_within_s=30.0) as server:
        yield server
        server.assert_no_traceback()


async def call(talk: SdkTalk) -> str:
    """Have the model call the function; return the call's id."""
    await talk.connection.session.update(session={"type": "realtime", "tools": [TOOL]})
    content: Any = [{"type": "input_text", "text": "What time is it?"}]
    item: Any = {"type": "message", "role": "user", "content": content}
    await talk.connection.conversation.item.create(item=item)
    await talk.connection.response.create()
    called = await talk.event("response.function_call_arguments.done")
    await talk.event("response.done")
    return str(called.call_id)


async def answered(talk: SdkTalk) -> None:
    """Take the next response that is no filler."""
    while (response := (await talk.event("response.done")).response).metadata:
        pass
    assert response.status == "completed"
    assert response.output[0].content[0].transcript == REPLY


async def test_the_output_is_answered_while_the_filler_is_spoken(system: System) -> None:
    async with sdk_talk(system.url) as talk:
        call_id = await call(talk)
        assert (await talk.event("response.created")).response.metadata == {"antiphon": "filler"}
        while len(talk.audio) < OUT_HZ:
            await talk.event("response.output_audio.delta")
        await talk.give_output(call_id, "10:00")
        filler = (await talk.event("response.done")).response
        assert (filler.status, filler.status_details.reason) == ("cancelled", "client_cancelled")
        kept = filler.output[0].content[0].transcript
        assert kept
        assert FILLER.startswith(kept)
        assert len(kept) < len(FILLER)
        await answered(talk)


async def test_speech_over_the_filler_stops_it_and_a_late_output_is_answered(
    system: System,
) -> None:
    async with sdk_talk(system.url) as talk:
        call_id = await call(talk)
        async with open_microphone(talk):
            await talk.event("response.output_audio.delta")
            talk.say("how_can_i_begin")
            await talk.event(INTERRUPTED)
            filler = (await talk.event("response.done")).response
            assert filler.status_details.reason == "turn_detected"
            [item] = filler.output
            # As a client that fell silent at once would.
            await talk.connection.conversation.item.truncate(
                item_id=item.id, content_index=0, audio_end_ms=500
            )
            await talk.event("conversation.item.truncated")
            await talk.connection.conversation.item.retrieve(item_id=item.id)
            kept = (await talk.event("conversation.item.retrieved")).item
            assert FILLER.startswith(kept.content[0].transcript)
            assert len(kept.content[0].transcript) < len(FILLER) / 2
            # The user's words are a turn of their own, which is answered by another call.
            again = await talk.event("response.function_call_arguments.done")
            assert again.call_id != call_id
            await talk.event("response.done")
            await talk.give_output(call_id, "10:00")
            await answered(talk)


async def test_the_agents_sdk_hears_it_and_then_the_answer(system: System) -> None:
    @function_tool
    async def get_time(city: str) -> str:
        """Tell the time in a city."""
        await asyncio.sleep(1.5)
        return "10:00"

    async with agent_talk(system, tools=[get_time]) as talk:
        await talk.session.send_message("What time is it in Oslo?")
        await talk.until("tool_start")
        await talk.until("audio")
        await talk.until("tool_end")
        assert not any(REPLY in said for said in talk.said("assistant"))
        while REPLY not in talk.said("assistant"):
            await talk.until("history_updated")
        [filler, _] = talk.said("assistant")
        assert filler
        assert FILLER.startswith(filler)
