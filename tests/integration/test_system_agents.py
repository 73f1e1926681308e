"""The stock `openai-agents` SDK holds a conversation, with only the address changed."""

import asyncio
import base64
from typing import Any, Literal

import pytest
from agents import function_tool
from agents.realtime.model_inputs import RealtimeModelSendSessionUpdate
from system import System
from system_agents import agent_talk
from whole_talk import INTERRUPTION, QUESTION, STORY, Cut, Told, judge

from bench.turns.word_timer import WordTimer

pytestmark = [pytest.mark.integration, pytest.mark.models, pytest.mark.timeout(120)]


async def test_a_spoken_conversation_with_a_call_and_an_interruption(
    embedded_system: System, word_timer: WordTimer
) -> None:
    called: list[dict[str, str]] = []

    @function_tool
    async def get_time(city: Literal["Oslo", "Rome"]) -> str:
        """Tell the time in a city."""
        called.append({"city": city})
        # Else the answer to the output would have to be a call again.
        await talk.session.model.send_event(
            RealtimeModelSendSessionUpdate(session_settings={"tool_choice": "none"})
        )
        return "It is ten o'clock in the morning."

    settings = {"tool_choice": "required"}
    async with agent_talk(embedded_system, model_settings=settings, tools=[get_time]) as talk:
        async with asyncio.TaskGroup() as group:
            group.create_task(talk.say(QUESTION))
            answer = await talk.until_raw("response.done", lambda event: bool(spoken(event)))
        await talk.session.send_message(STORY)
        first = await talk.until_raw("response.output_audio.delta")
        await asyncio.sleep(1.5)
        async with asyncio.TaskGroup() as group:
            group.create_task(talk.say(INTERRUPTION))
            await talk.until("audio_interrupted")
            cut = await talk.until_raw("conversation.item.truncated")
            kept = await talk.until_raw(
                "conversation.item.retrieved", lambda event: event["item"]["id"] == cut["item_id"]
            )
            await talk.until("history_updated")
    item_id = first["item_id"]
    assert cut["item_id"] == item_id
    [first_item] = spoken(answer)
    judge(
        Told(
            transcripts=[
                event["transcript"] for event in talk.of("input_audio_transcription.completed")
            ],
            called=called,
            cut=Cut(
                item_id=item_id,
                said="".join(e["delta"] for e in talk.of("audio_transcript.delta", item_id)),
                audio=b"".join(
                    base64.b64decode(e["delta"]) for e in talk.of("output_audio.delta", item_id)
                ),
                audio_end_ms=cut["audio_end_ms"],
                kept=kept["item"]["content"][0]["transcript"],
            ),
            history=talk.texts()[item_id][1],
            answer=first_item["content"][0]["transcript"],
            answer_in_history=talk.texts()[first_item["id"]][1],
        ),
        word_timer,
    )


def spoken(done: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a response."""
    return [item for item in done["response"]["output"] if item["type"] == "message"]
