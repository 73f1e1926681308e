"""`antiphon talk` without a recording: a conversation through microphone and loudspeaker."""

import asyncio
from collections.abc import Callable

from antiphon import events
from antiphon.audio_devices import MICROPHONE_HZ, Microphone, SoundDevice, Speaker, opened
from antiphon.connection import Audio, Connection, Message, connect
from antiphon.server_address import ConnectionClosed
from antiphon.task_groups import failure_unwrapped

Show = Callable[[str], None]


async def converse(url: str, *, api_key: str, sound: SoundDevice, show: Show) -> None:
    """Talk until the server ends the session or the task is cancelled.

    Raises NoAudioDevice, and what `connect` raises.
    """
    with opened(sound) as (microphone, speaker):
        async with connect(url, api_key=api_key) as talk:
            show("Speak; Ctrl-C ends. Headphones keep the answers out of the microphone.")
            with failure_unwrapped():
                async with asyncio.TaskGroup() as group:
                    sending = group.create_task(_send(talk, microphone), name="microphone")
                    try:
                        await _listen(talk, speaker, show)
                    finally:
                        sending.cancel()


async def _send(talk: Connection, microphone: Microphone) -> None:
    while True:
        pcm, captured_s = await microphone.block()
        try:
            await talk.send_audio(pcm, MICROPHONE_HZ, captured_s=captured_s)
        except ConnectionClosed:
            return


async def _listen(talk: Connection, speaker: Speaker, show: Show) -> None:
    conversation = LiveConversation(speaker, show)
    try:
        async for message in talk:
            conversation.take(message)
    except ConnectionClosed as closed:
        show(f"The server ended the session: {closed}")


class LiveConversation:
    """What is heard and shown of a conversation."""

    def __init__(self, speaker: Speaker, show: Show) -> None:
        self._speaker = speaker
        self._show = show
        self._reply = ""

    def take(self, message: Message) -> None:
        """Take the next message of the session."""
        match message:
            case Audio():
                self._speaker.play(message.pcm, message.sample_rate_hz)
            case events.TextDelta():
                self._reply += message.delta
            case events.TranscriptCompleted() if message.transcript.strip():
                self._show(f"you:   {message.transcript.strip()}")
            case events.SpeechStarted():
                self._speaker.stop()
            case events.Duck():
                self._speaker.duck(message.ducked, paused=message.paused)
            case events.Citations():
                self._show(f"from:  {message.sources}")
            case events.ResponseDone():
                if message.response.status == "cancelled":
                    self._speaker.stop()
                if self._reply.strip():
                    self._show(f"reply: {self._reply.strip()}")
                self._reply = ""
            case events.ErrorEvent():
                self._show(f"error: {message.error.message}")
