"""What sessions do in the bars: whole turns, checked sample by sample."""

import time

from bars import Figure, Run
from history import History
from servers import REPLY
from system_client import Client, connected, speech


async def spoken_turn(client: Client, recording: str = "dog_or_cat") -> None:
    """Say something by push-to-talk and hear the whole answer; say what was received until now."""
    await client.send("antiphon.ack", seq=len(client.events))
    await client.append(speech(recording))
    await client.send("input_audio_buffer.commit")
    await client.event("input_audio_buffer.committed")
    await client.send("response.create")
    await client.done(within_s=60)


class Tally:
    """Turns that were held, and what was wrong with them."""

    def __init__(self) -> None:
        self.turns = 0
        self.lost = 0
        self.faults: list[str] = []

    async def hold(self, url: str, turns: int, text: str = REPLY) -> None:
        """Hold turns in one session, one after the other, and check every sample of them."""
        async with connected(url, extended=True) as client:
            await client.push_to_talk()
            for _ in range(turns):
                self.turns += 1
                await spoken_turn(client)
            self.check(client, turns, text)

    def figure(self, run: Run) -> Figure:
        """Return how much was wrong; the first faults become notes."""
        run.notes |= {f"fault {number}": text for number, text in enumerate(self.faults[:4], 1)}
        return Figure("faults in the histories", len(self.faults), 0)

    def check(self, client: Client, turns: int, text: str | None = REPLY) -> None:
        """Judge a session's history."""
        history = History(client.events)
        self.lost += turns - history.completed
        self.faults += history.judge(text)


async def first_audio_s(client: Client, text: str = "Speak.") -> float:
    """Ask for an answer; return how long its first audio took. The answer goes on."""
    began_s = time.perf_counter()
    await client.say_text(text)
    kind = "audio" if client.extended else "response.output_audio.delta"
    await client.event(kind)
    return time.perf_counter() - began_s


async def first_word_s(client: Client, text: str = "Write.") -> float:
    """Ask for a written answer; return how long its first word took. The answer goes on."""
    began_s = time.perf_counter()
    await client.say_text(text, output_modalities=["text"])
    await client.event("response.output_text.delta")
    return time.perf_counter() - began_s
