"""What a gateway's processor does for a session: a few people, then more, talk with a real one.

The engines beside it are simulated, so the gateway is measured and not what it waits for.
"""

import asyncio
import itertools
import random
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from antiphon import readiness
from antiphon.connection import Connection, connect
from antiphon.events import ResponseDone
from antiphon.placement import setting_text
from antiphon.private_server import own_server
from antiphon.task_groups import failure_unwrapped
from antiphon_proto import config
from antiphon_proto.audio import read_wav
from antiphon_proto.config import Config, Gateway
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import STAGES
from antiphon_proto.planning import REPLIES, Conversation

FEW, MORE = 2, 10
"""People; what the gateway takes more for the latter is what each of the others costs."""
SETTLE_S = 6.0
SECONDS = 16.0
SPEECH_S = 3.0
"""Of each utterance."""
ANSWER_LIMIT_S = 15.0
CPU_METRIC = "process_cpu_seconds_total"


def measure(settings: Config, speech: Path, progress: Callable[[str], None]) -> float:
    """Return the milliseconds of processor time that a second of a talking session takes.

    `speech` is a WAV file of what people say. Takes about a minute, blocks. Raises StartupError
    when the server does not start, nobody is answered, or the system does not tell processor time.
    """
    progress(f"gateway: {FEW} and then {MORE} people at simulated engines")
    pcm, sample_rate_hz = read_wav(speech)
    utterance = pcm[: 2 * int(SPEECH_S * sample_rate_hz)]
    with own_server(settings_for(settings), config.child_environment()) as url:
        return asyncio.run(_measure(url, utterance, sample_rate_hz))


def settings_for(settings: Config) -> list[str]:
    """Return those of a server that listens as the configured one does."""
    taking = settings.turn_taking
    if settings.tts.engine == "simulated":
        # Its speech is a tone, which only this detector takes for a voice.
        taking = msgspec.structs.replace(taking, detector="loudness")
    listening = msgspec.to_builtins(taking).items()
    return [
        *(f"{stage}.engine=simulated" for stage in STAGES),
        *(f"{stage}.slots={MORE}" for stage in STAGES),
        *(f"turn_taking.{key}={setting_text(value)}" for key, value in listening),
        f"simulated.reply={REPLIES[1]}",
        "gateway.admission_queue_wait_ms=0",
    ]


async def _measure(url: str, utterance: bytes, sample_rate_hz: int) -> float:
    answers = itertools.count()
    used_s = []
    with failure_unwrapped():
        async with asyncio.TaskGroup() as group:
            people: list[asyncio.Task[None]] = []
            for count in (FEW, MORE):
                while len(people) < count:
                    chance = random.Random(len(people))
                    talks = _talk(url, utterance, sample_rate_hz, chance, answers)
                    people.append(group.create_task(talks, name=f"person-{len(people)}"))
                await asyncio.sleep(SETTLE_S)
                before_s = await _cpu_s(url)
                await asyncio.sleep(SECONDS)
                used_s.append(await _cpu_s(url) - before_s)
            for person in people:
                person.cancel()
    if next(answers) < MORE:
        raise StartupError("the gateway was not measured: hardly anybody was heard and answered")
    return max(0.0, 1000 * (used_s[1] - used_s[0]) / SECONDS / (MORE - FEW))


async def _talk(
    url: str,
    utterance: bytes,
    sample_rate_hz: int,
    chance: random.Random,
    answers: "itertools.count[int]",
) -> None:
    """Speak, hear the answer, think, until cancelled."""
    think_s = Conversation().think_s
    async with connect(url) as talk:
        silence = bytes(2 * int(chance.uniform(0.1, SETTLE_S) * sample_rate_hz))
        await talk.say(silence, sample_rate_hz)
        while True:
            await talk.say(utterance, sample_rate_hz)
            try:
                async with asyncio.timeout(ANSWER_LIMIT_S):
                    await _answered(talk)
            except TimeoutError:
                continue
            next(answers)
            await asyncio.sleep(chance.uniform(*think_s))


async def _answered(talk: Connection) -> None:
    async for message in talk:
        if isinstance(message, ResponseDone) and message.response.status == "completed":
            return


async def _cpu_s(url: str) -> float:
    """Return the processor time that the gateway has used."""
    gateway = Gateway(port=urllib.parse.urlsplit(url).port or 0)
    text = await asyncio.to_thread(readiness.metrics, gateway)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == CPU_METRIC:
                return sample.value
    raise StartupError(
        "this system does not tell how much processor time a process used; write gateway_ms into "
        "the file of figures by hand, or measure on Linux"
    )
