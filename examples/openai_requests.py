"""Transcribe a recording, ask the language model, and have its answer said: three requests."""

import sys
from pathlib import Path

from openai import OpenAI


def main(question, reply, server="http://localhost:8080/v1"):
    with OpenAI(base_url=server, api_key="any-key-will-do-on-localhost") as client:
        heard = client.audio.transcriptions.create(model="whisper-1", file=Path(question))
        print("you:  ", heard.text)
        chat = client.chat.completions.create(
            model="local", messages=[{"role": "user", "content": heard.text}], max_tokens=40
        )
        answer = chat.choices[0].message.content
        print("reply:", answer)
        with client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=answer, response_format="wav"
        ) as speech:
            speech.stream_to_file(reply)


main(*sys.argv[1:])
