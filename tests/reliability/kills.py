"""kills: any gateway, dispatcher or worker is killed at any moment of a turn."""

import asyncio
from collections import Counter

from bars import Figure, Run, bar, percentile
from history import History
from links import answered, events_of
from resuming_client import ResumingClient, resuming_client
from servers import AT_ONCE, ENGINES, GATEWAY, TRANSCRIPT, System
from system import DISPATCHER, system, worker_names
from system_client import speech

from antiphon_proto.messages import STAGES

KINDS = (GATEWAY, DISPATCHER, *STAGES)
WORKERS = worker_names(dict.fromkeys(STAGES, 2))
SETTINGS = {
    **ENGINES,
    "bus.dispatcher": "process",
    "llm.slots": 8,
    "tts.slots": 8,
    "simulated.reply": "I heard {heard} and nothing else. That is all of it.",
    "simulated.stt_ms": 300,
    "simulated.llm_token_ms": 30,
    "simulated.tts_real_time_factor": 0.3,
}
PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
WORDS = "conversation.item.input_audio_transcription.completed"


class _Talks:
    """Sessions that hold spoken and typed turns by turns, until told to stop."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.under_way = 0
        self.turns = 0
        self.lost = 0
        self.faults: list[str] = []
        self.resumed_s: list[float] = []

    async def hold(self, url: str, number: int) -> None:
        """Hold one session and judge all of its history at the end."""
        said: list[str] = []
        async with resuming_client(url) as client:
            await client.send("session.update", session=PUSH_TO_TALK)
            while not self.over.is_set():
                said.append(f"mark {number} of {len(said)}" if len(said) % 2 else TRANSCRIPT)
                self.under_way += 1
                # As every client does: what it has need not be kept for it.
                await client.send("antiphon.ack", seq=client.received)
                await self._ask(client, said[-1])
                try:
                    await answered(client, self.resumed_s)
                except (TimeoutError, ConnectionRefusedError) as exc:
                    self.faults.append(f"session {number}: {type(exc).__name__} {exc}")
                    break
                finally:
                    self.under_way -= 1
            self._judge(client, said)

    async def _ask(self, client: ResumingClient, words: str) -> None:
        if words != TRANSCRIPT:
            await client.say_text(words)
            return
        await client.append(speech("dog_or_cat"))
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")

    def _judge(self, client: ResumingClient, said: list[str]) -> None:
        history = History(list(events_of(client)))
        self.turns += len(said)
        self.lost += len(said) - history.completed
        self.faults += history.judge()
        replies = [SETTINGS["simulated.reply"].replace("{heard}", words) for words in said]
        texts = [reply.text for reply in history.replies.values()]
        self.faults += [f"{text!r} for {reply!r}" for text, reply in _unlike(texts, replies)]
        if history.roles != ["user", "assistant"] * len(said):
            self.faults.append(f"items of {history.roles} for {len(said)} turns")
        words = [event["transcript"] for event in client.of_type(WORDS)]
        if words != [TRANSCRIPT] * said.count(TRANSCRIPT):
            self.faults.append(f"heard {words}")
        self.faults += [str(event["error"]) for event in client.of_type("error")]


def _unlike(texts: list[str], replies: list[str]) -> list[tuple[str, str]]:
    pairs = list(zip(texts, replies, strict=False))
    return [pair for pair in pairs if pair[0] != pair[1]]


@bar("kills", "kill -9 of gateway, dispatcher and workers at random moments of turns")
async def killed_at_any_moment(run: Run) -> list[Figure]:
    """No word is lost or heard twice: each turn is answered once, with every sample once."""
    sessions, rounds = run.size(12, 6), run.size(15, 1)
    talks, killed, moments = _Talks(), Counter[str](), Counter[str]()
    with system(SETTINGS | (AT_ONCE if run.small else {})) as server:
        server.start(GATEWAY, DISPATCHER, *WORKERS)
        await asyncio.to_thread(server.wait_ready)
        async with asyncio.TaskGroup() as group:
            for number in range(sessions):
                group.create_task(talks.hold(server.realtime_url, number))
            for _ in range(rounds):
                # Each kind once a round: no job dies three times, which would be its end.
                for kind in run.chance.sample(KINDS, len(KINDS)):
                    await asyncio.sleep(run.chance.uniform(0.1, 1.0))
                    name = kind if kind not in STAGES else f"{kind}-{run.chance.randrange(2)}"
                    killed[kind] += 1
                    moments[kind] += talks.under_way
                    await asyncio.to_thread(_kill_and_start, server, name)
            talks.over.set()
        made_again = sum(
            event["reissued"]
            for event in server.events(DISPATCHER)
            if event["event"] == "worker lost"
        )
        server.assert_no_traceback()
    run.notes |= {
        f"kills of {kind}": f"{killed[kind]}, with {moments[kind]} turns under way"
        for kind in KINDS
    }
    run.notes |= {"jobs of killed workers": made_again, "turns": talks.turns}
    run.notes |= {
        "times a session resumed": len(talks.resumed_s),
        "lost to resumed p95, s": round(percentile(talks.resumed_s, 95), 2),
    }
    run.notes |= {f"fault {number}": text for number, text in enumerate(talks.faults[:4], 1)}
    return [
        Figure("kinds that were not killed in a turn", sum(not moments[k] for k in KINDS), 0),
        Figure("lost turns", talks.lost, 0),
        Figure("faults in the histories", len(talks.faults), 0),
    ]


def _kill_and_start(server: System, name: str) -> None:
    """Kill a process and start it as a supervisor would; wait until a gateway listens."""
    server.kill(name)
    server.start(name)
    if name == GATEWAY:
        server.wait_for(lambda: server.get("/healthz") is not None, 60)
