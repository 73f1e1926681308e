"""Say a recording to an agent of `openai-agents`, and write the answer to a file."""

import asyncio
import sys
import wave

import numpy as np
import soxr
from agents.realtime import RealtimeAgent, RealtimeRunner

RATE = 24_000  # samples a second of audio/pcm in the Realtime API


async def say(session, path):
    with wave.open(path) as wav:  # 16-bit, any rate
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")[:: wav.getnchannels()]
        pcm = soxr.resample(samples, wav.getframerate(), RATE).tobytes()
    pcm += bytes(2 * RATE * 3)  # 3 s of silence: the server hears that the turn is over
    for start in range(0, len(pcm), 4_800):  # 100 ms
        await session.send_audio(pcm[start : start + 4_800])
        await asyncio.sleep(0.1)


async def main(question, reply, server="ws://localhost:8080/v1/realtime"):
    agent = RealtimeAgent(name="Assistant", instructions="Answer in one short sentence.")
    session = await RealtimeRunner(agent).run(
        model_config={"url": server, "api_key": "any-key-will-do-on-localhost"}
    )
    spoken = bytearray()
    async with session, asyncio.TaskGroup() as group:
        speaking = group.create_task(say(session, question))
        async for event in session:
            if event.type == "audio":
                spoken += event.audio.data
            elif event.type == "audio_interrupted":
                spoken.clear()
            elif event.type == "audio_end":
                break
        speaking.cancel()
    print("reply:", len(spoken) // 2 * 1000 // RATE, "ms of audio")
    with wave.open(reply, "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", None))
        wav.writeframes(spoken)


asyncio.run(main(*sys.argv[1:]))
