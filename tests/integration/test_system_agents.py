"""The stock `openai-agents` SDK holds conversations, with only the address changed."""

import asyncio

import pytest
from agents import function_tool
from system import SIMULATED, System, running_system
from system_agents import agent_talk
from system_client import word_errors

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

REPLY = " ".join(f"This is sentence number {number} of a long reply." for number in range(30))


@pytest.mark.models
async def test_a_spoken_turn_with_the_embedded_models(embedded_system: System) -> None:
    async with agent_talk(embedded_system) as talk, asyncio.TaskGroup() as group:
        group.create_task(talk.say("what_time_is_it"))
        await talk.until("audio")
        await talk.until_raw("response.done")
        assert word_errors("what time is it", talk.said("user")[0]) <= 0.25
        assert talk.said("assistant")[0]


async def test_a_tool_call_an_interruption_and_a_history_of_what_was_heard() -> None:
    asked: list[str] = []

    @function_tool
    async def get_time(city: str) -> str:
        """Tell the time in a city."""
        asked.append(city)
        return "10:00"

    settings = {"simulated.call_arguments": '{"city":"Oslo"}', "simulated.reply": REPLY}
    with running_system({**SIMULATED, **settings}, ready_within_s=30.0) as system:
        async with agent_talk(system, tools=[get_time]) as talk, asyncio.TaskGroup() as group:
            await talk.session.send_message("What time is it in Oslo?")
            ended = await talk.until("tool_end")
            assert (asked, ended.output) == (["Oslo"], "10:00")
            await talk.until("audio")
            group.create_task(talk.say("how_can_i_begin"))
            await talk.until("audio_interrupted")
            await talk.until_raw("conversation.item.retrieved")
            await talk.until("history_updated")
            heard = talk.said("assistant")[0]
            assert heard
            assert REPLY.startswith(heard.strip())
            assert len(heard) < len(REPLY) / 2
        system.assert_no_traceback()
