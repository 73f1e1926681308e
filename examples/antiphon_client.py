"""Say a recording with Antiphon's own client, and write the answer to a file."""

import asyncio
import sys
import wave
from pathlib import Path

import antiphon


async def main(question: str, reply: str, server: str = "ws://localhost:8080") -> None:
    spoken, rate_hz, text = bytearray(), 24_000, ""
    async with antiphon.connect(server) as talk:
        await talk.say(Path(question))  # in real time; the microphone stays open after it
        async for message in talk:
            match message:
                case antiphon.Audio():
                    spoken += message.pcm
                    rate_hz = message.sample_rate_hz
                case antiphon.events.TranscriptCompleted():
                    print("you:  ", message.transcript)
                case antiphon.events.TextDelta():
                    text += message.delta
                case antiphon.events.ResponseDone() if message.response.status != "cancelled":
                    break
    print("reply:", text.strip())
    with wave.open(reply, "wb") as wav:
        wav.setparams((1, 2, rate_hz, 0, "NONE", ""))
        wav.writeframes(spoken)


asyncio.run(main(*sys.argv[1:]))
