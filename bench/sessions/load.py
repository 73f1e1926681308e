"""`python -m bench.sessions.load`: talking sessions and probes in one cheap process.

Every talker sends a frame each 20 ms, speech and silence in turn, and has real turns. Probes ask
for one written word, out of the conversation, a few times a second. Prints what it saw as JSON.
"""

import argparse
import heapq
import json
import random
import selectors
import sys
import time
from pathlib import Path

from antiphon_proto.audio import read_wav
from bench.sessions.line import FRAME_BYTES, FRAME_MS, MIC_HZ, Line

TURN_S = 8.0
"""From the beginning of one utterance to that of the next, in every session."""
PROBE_PERIOD_S = 0.25
PROBES = 5
SILENCE_MS = 500
"""Silence that ends a turn."""


class Talker:
    """One session that says the same clip every `TURN_S` and hears the answers."""

    def __init__(
        self, line: Line, clip: list[bytes], speech_end_frame: int, began_s: float
    ) -> None:
        self.line = line
        self._clip = clip
        self._speech_end = speech_end_frame
        self._frames = 0
        self._began_s = began_s
        self._end_s = 0.0
        self.turns_s: list[float] = []
        self._waits = False

    @property
    def due_s(self) -> float:
        """When the next frame is to be sent."""
        return self._began_s + self._frames * FRAME_MS / 1000

    def send(self, now_s: float) -> None:
        """Send the next frame."""
        place = self._frames % len(self._clip)
        self.line.send_audio(self._clip[place], int(self.due_s * 1e6))
        self._frames += 1
        if place == self._speech_end:
            self._end_s, self._waits = now_s, True

    def receive(self, now_s: float) -> None:
        """Note the first audio after an utterance."""
        for message in self.line.receive():
            if message.audio and self._waits:
                self._waits = False
                self.turns_s.append(now_s - self._end_s)


class Prober:
    """One session that asks for a written word again and again."""

    REQUEST = {  # noqa: RUF012 - constant
        "type": "response.create",
        "response": {
            "conversation": "none",
            "output_modalities": ["text"],
            "max_output_tokens": 1,
        },
    }

    def __init__(self, line: Line, began_s: float) -> None:
        self.line = line
        self.due_s = began_s
        self._asked_s = 0.0
        self._busy = False
        self._first = False
        self.hops_s: list[float] = []

    def send(self, now_s: float) -> None:
        """Ask, unless the last answer has not ended."""
        self.due_s += PROBE_PERIOD_S
        if not self._busy:
            self._busy, self._first, self._asked_s = True, True, now_s
            self.line.send_event(self.REQUEST)

    def receive(self, now_s: float) -> None:
        """Note the first word."""
        for message in self.line.receive():
            if b"response.output_text.delta" in message.head and self._first:
                self._first = False
                self.hops_s.append(now_s - self._asked_s)
            elif b"response.done" in message.head:
                self._busy = False


def script(clip: Path) -> tuple[list[bytes], int]:
    """Return the frames of one `TURN_S`, and in which of them the speech ends."""
    pcm, rate = read_wav(clip)
    assert rate == MIC_HZ
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    wanted = round(TURN_S * 1000 / FRAME_MS)
    frames = [frame.ljust(FRAME_BYTES, b"\0") for frame in frames][:wanted]
    loud = [place for place, frame in enumerate(frames) if _peak(frame) > 1_500]
    return frames + [bytes(FRAME_BYTES)] * (wanted - len(frames)), loud[-1]


def _peak(frame: bytes) -> int:
    return max(abs(sample) for sample in memoryview(frame).cast("h"))


def run(port: int, sessions: int, seconds: float, clip: Path, seed: int) -> dict[str, object]:
    """Load the server; return what was seen after the first turn of each session."""
    chance = random.Random(seed)
    frames, end = script(clip)
    turn_detection = {"type": "server_vad", "silence_duration_ms": SILENCE_MS}
    update: dict[str, object] = {"audio": {"input": {"turn_detection": turn_detection}}}
    lines = [Line(port, update) for _ in range(sessions)]
    began_s = time.perf_counter() + 0.2
    talkers = [Talker(line, frames, end, began_s + chance.uniform(0, TURN_S)) for line in lines]
    quiet: dict[str, object] = {"audio": {"input": {"turn_detection": None}}}
    probers = [Prober(Line(port, quiet), began_s + 0.05 * place) for place in range(PROBES)]
    everyone: list[Talker | Prober] = [*talkers, *probers]
    selector = selectors.EpollSelector()
    for one in everyone:
        selector.register(one.line.socket, selectors.EVENT_READ, one)
    print("warm", file=sys.stderr, flush=True)
    late_s = _drive(selector, everyone, began_s + TURN_S)
    for talker in talkers:
        talker.turns_s.clear()
    for prober in probers:
        prober.hops_s.clear()
    print("measure", file=sys.stderr, flush=True)
    used_s = time.process_time()
    late_s = _drive(selector, everyone, began_s + TURN_S + seconds)
    used_s = time.process_time() - used_s
    print("end", file=sys.stderr, flush=True)
    return {
        "sessions": sessions,
        "turns_ms": [round(1000 * turn, 2) for talker in talkers for turn in talker.turns_s],
        "hops_ms": [round(1000 * hop, 2) for prober in probers for hop in prober.hops_s],
        "dropped_frames": sum(one.line.dropped for one in everyone),
        "closed": sum(one.line.closed for one in everyone),
        "cpu_s": used_s,
        "late_p99_ms": round(1000 * sorted(late_s)[int(len(late_s) * 0.99)], 2) if late_s else 0,
    }


def _drive(
    selector: selectors.BaseSelector, everyone: list[Talker | Prober], until_s: float
) -> list[float]:
    """Send and receive until a time; return how late the generator itself was, frame by frame."""
    late_s: list[float] = []
    due = [(one.due_s, place) for place, one in enumerate(everyone)]
    heapq.heapify(due)
    while (now_s := time.perf_counter()) < until_s:
        while due[0][0] <= now_s:
            at_s, place = due[0]
            late_s.append(now_s - at_s)
            everyone[place].send(now_s)
            heapq.heapreplace(due, (everyone[place].due_s, place))
        wait_s = min(due[0][0], until_s) - time.perf_counter()
        for key, _ in selector.select(max(0.0, min(wait_s, 0.002))):
            if key.data.line.closed:
                selector.unregister(key.fileobj)
            else:
                key.data.receive(time.perf_counter())
    return late_s


def main() -> None:
    """Run one step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    print(json.dumps(run(a.port, a.sessions, a.seconds, a.clip, a.seed)))


if __name__ == "__main__":
    main()
