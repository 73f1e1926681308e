"""`python -m bench.plan_load`: people who speak, wait, listen and think at random, in one process.

Every one begins at a moment of their own and draws the recording and the time to think for each
turn. Prints as JSON how long each waited for the first audio, counted from the end of the speech.
"""

import argparse
import json
import random
import selectors
import sys
import time
from pathlib import Path

from bench.sessions.line import FRAME_BYTES, FRAME_MS, Line
from bench.sessions.load import SILENCE_MS, script

GIVE_UP_S = 30.0
_CLIPS = ("bear_or_shark", "dog_or_cat", "turn_on_lamp", "swim_in_the_seine", "go_forward")
"""Those without a pause in them, whose last loud frame is where the detector too hears the end."""
_SPEECH = Path(__file__).parents[1] / "tests" / "data" / "speech"
_SILENCE = bytes(FRAME_BYTES)

Recording = list[bytes]
"""The frames of an utterance; the last one is the last that is loud."""


def recordings() -> list[Recording]:
    """Return what people say."""
    scripts = (script(_SPEECH / f"{name}.wav") for name in _CLIPS)
    return [frames[: end + 1] for frames, end in scripts]


class Person:
    """One conversation."""

    def __init__(
        self,
        line: Line,
        says: list[Recording],
        think_s: tuple[float, float],
        chance: random.Random,
        begins_s: float,
    ) -> None:
        self.line = line
        self.waits_s: list[float] = []
        self._says = says
        self._think_s = think_s
        self._chance = chance
        self._began_s = begins_s
        self._frames = 0
        self._speaks_at_s = begins_s + chance.uniform(0.0, 4 + sum(think_s))
        self._left: list[bytes] = []
        self._silent_since_s: float | None = None
        self._heard = False

    @property
    def due_s(self) -> float:
        """When the next frame is to be sent."""
        return self._began_s + self._frames * FRAME_MS / 1000

    @property
    def waiting_s(self) -> float:
        """How long an answer has been waited for of which nothing was heard."""
        since_s = self._silent_since_s
        return time.perf_counter() - since_s if since_s and not self._heard else 0.0

    def send(self, now_s: float) -> None:
        """Send the next frame: speech, when it is time, or silence."""
        if self._silent_since_s and now_s - self._silent_since_s > GIVE_UP_S:
            if not self._heard:
                self.waits_s.append(float("inf"))
            self._think(now_s)
        if not self._left and self._silent_since_s is None and now_s >= self._speaks_at_s:
            self._left = list(reversed(self._chance.choice(self._says)))
        spoke = bool(self._left)
        frame = self._left.pop() if spoke else _SILENCE
        self.line.send_audio(frame, int(self.due_s * 1e6))
        self._frames += 1
        if spoke and not self._left:
            self._silent_since_s, self._heard = now_s, False

    def receive(self, now_s: float) -> None:
        """Note the first audio of an answer, and its end."""
        for message in self.line.receive():
            if self._silent_since_s is None:
                continue
            if message.audio and not self._heard:
                self._heard = True
                self.waits_s.append(now_s - self._silent_since_s)
            elif b'"response.done"' in message.head and self._heard:
                self._think(now_s)

    def _think(self, now_s: float) -> None:
        self._silent_since_s = None
        self._speaks_at_s = now_s + self._chance.uniform(*self._think_s)


def run(
    port: int, people: int, seconds: float, warm_s: float, think_s: tuple[float, float], seed: int
) -> dict[str, object]:
    """Load the server; return what was seen after `warm_s`."""
    turn_detection = {"type": "server_vad", "silence_duration_ms": SILENCE_MS}
    update: dict[str, object] = {"audio": {"input": {"turn_detection": turn_detection}}}
    lines = [Line(port, update) for _ in range(people)]
    began_s, says = time.perf_counter() + 0.2, recordings()
    chances = [random.Random(f"{seed} {number}") for number in range(people)]
    everyone = [
        Person(line, says, think_s, chance, began_s + FRAME_MS / 1000 * place / people)
        for place, (line, chance) in enumerate(zip(lines, chances, strict=True))
    ]
    selector = selectors.EpollSelector()
    for person in everyone:
        selector.register(person.line.socket, selectors.EVENT_READ, person)
    _drive(selector, everyone, began_s + warm_s)
    for person in everyone:
        person.waits_s.clear()
    print("measure", file=sys.stderr, flush=True)
    used_s = time.process_time()
    _drive(selector, everyone, began_s + warm_s + seconds)
    used_s = time.process_time() - used_s
    print("end", file=sys.stderr, flush=True)
    return {
        "waits_ms": [round(1000 * wait, 1) for person in everyone for wait in person.waits_s],
        "waiting_ms": [round(1000 * person.waiting_s, 1) for person in everyone],
        "cores": used_s / seconds,
        "dropped": sum(person.line.dropped for person in everyone),
        "closed": sum(person.line.closed for person in everyone),
    }


def _drive(selector: selectors.BaseSelector, everyone: list[Person], until_s: float) -> None:
    while (now_s := time.perf_counter()) < until_s:
        next_s = until_s
        for person in everyone:
            if person.due_s <= now_s:
                person.send(now_s)
            next_s = min(next_s, person.due_s)
        for key, _ in selector.select(max(0.0, next_s - time.perf_counter())):
            if key.data.line.closed:
                selector.unregister(key.fileobj)
            else:
                key.data.receive(time.perf_counter())


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-s", type=float, required=True)
    parser.add_argument("--think-s", type=float, nargs=2, required=True)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    think_s = (a.think_s[0], a.think_s[1])
    print(json.dumps(run(a.port, a.people, a.seconds, a.warm_s, think_s, a.seed)))


if __name__ == "__main__":
    main()
