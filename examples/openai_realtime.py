import asyncio
import base64
import sys
import wave

import numpy as np
import soxr
from openai import AsyncOpenAI

RATE = 24_000  # samples a second of audio/pcm in the Realtime API


async def say(connection, path):
    with wave.open(path) as wav:  # 16-bit, any rate
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")[:: wav.getnchannels()]
        pcm = soxr.resample(samples, wav.getframerate(), RATE).tobytes()
    pcm += bytes(2 * RATE * 3)  # 3 s of silence: the server hears that the turn is over
    for start in range(0, len(pcm), 4_800):  # 100 ms
        chunk = base64.b64encode(pcm[start : start + 4_800]).decode()
        await connection.input_audio_buffer.append(audio=chunk)
        await asyncio.sleep(0.1)


async def main(question, reply, server="http://localhost:8080/v1"):
    client = AsyncOpenAI(base_url=server, api_key="any-key-will-do-on-localhost")
    spoken = bytearray()
    async with client.realtime.connect(model="local") as connection, asyncio.TaskGroup() as group:
        speaking = group.create_task(say(connection, question))
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                print("you:  ", event.transcript)
            elif event.type == "response.output_audio.delta":
                spoken += base64.b64decode(event.delta)
            elif event.type == "response.done" and event.response.status != "cancelled":
                print("reply:", event.response.output[0].content[0].transcript)
                break
        speaking.cancel()
    with wave.open(reply, "wb") as wav:
        wav.setparams((1, 2, RATE, 0, "NONE", None))
        wav.writeframes(spoken)


asyncio.run(main(*sys.argv[1:]))
