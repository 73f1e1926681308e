"""The edges of speech that does not count yet, because it may be no turn. Pure."""

import dataclasses

from antiphon_gateway.endpointing import Edge, Endpointer, SpeechEdge
from antiphon_gateway.interruption import Verdict
from antiphon_gateway.turn_owner import SpeechJudge, TurnOwner


class HeldSpeech:
    """Keeps the edges of one stretch of speech until the owner has judged it."""

    def __init__(self, owner: TurnOwner) -> None:
        self._owner = owner
        self._judge: SpeechJudge | None = None
        self._edges: list[Edge] = []

    def __bool__(self) -> bool:
        return bool(self._edges)

    def take(self, edge: Edge, now_ms: float) -> bool:
        """Keep an edge of speech that must be judged first; tell whether it was kept."""
        if not self._edges:
            if edge.kind is SpeechEdge.STARTED:
                self._judge = self._owner.judge_of(edge.sample, now_ms)
                self._edges = [edge] if self._judge is not None else []
            return bool(self._edges)
        if edge.kind in (SpeechEdge.STARTED, SpeechEdge.RESUMED):
            del self._edges[1:]
        else:
            self._edges.append(edge)
        return True

    def judge(self, position: int, heard: Endpointer, now_ms: float) -> Verdict:
        """Ask about the speech held, when the microphone is at `position`."""
        if not self._edges or self._judge is None:
            return Verdict.UNDECIDED
        sounding = heard.hears_speech
        return self._judge.judge(position, heard.silence_ms, now_ms, sounding=sounding)

    def release(self) -> list[Edge]:
        """Return what was held, the start first: it counts."""
        (started, *later), self._edges = self._edges, []
        assert self._judge is not None
        return [dataclasses.replace(started, sample=self._judge.held_from), *later]

    def drop(self, now_ms: float) -> None:
        """Forget what was held: it does not count."""
        if self._edges:
            self._edges = []
            self._owner.on_held_dropped(now_ms)
