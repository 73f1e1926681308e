"""Pure: checks what one session was told: in order, no gap, at most once, nothing after the end.

The simulated voice makes every sample a function of the job and the sample's place, so the audio of
a run without faults is known without that run.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from antiphon_gateway.speech_text import speakable
from antiphon_workers.tts.simulated import tone

MOST_JOBS_BETWEEN = 200
"""Jobs of other kinds that may lie between two clauses of one session."""
_PROBE_BYTES = 4_000

Event = dict[str, Any]


class _Reply:
    def __init__(self) -> None:
        self.clauses: list[str] = []
        self.pcm = bytearray()
        self.status = ""

    @property
    def text(self) -> str:
        return "".join(self.clauses)


class History:
    """The replies of one session, from the events of a client with binary audio."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.faults: list[str] = []
        self.replies: dict[str, _Reply] = {}
        self.roles: list[str] = []
        """Of each item of the conversation, in order."""
        self._items: set[str] = set()
        self.session_id: str = events[0]["session"]["id"] if events else ""
        self._streams: dict[int, str] = {}
        for event in events:
            self._take(event)

    @property
    def completed(self) -> int:
        """Replies that ended well."""
        return sum(reply.status == "completed" for reply in self.replies.values())

    def _take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "response.created":
            response_id = event["response"]["id"]
            if response_id in self.replies:
                self.faults.append(f"{response_id} was created twice")
            self.replies[response_id] = _Reply()
        elif kind == "conversation.item.added":
            self._take_item(event["item"])
        elif kind == "antiphon.audio.started":
            self._streams[event["stream"]] = event["response_id"]
        elif kind == "audio":
            self._take_audio(event)
        elif kind in ("response.output_audio_transcript.delta", "response.output_text.delta"):
            if reply := self._open(event["response_id"], kind):
                reply.clauses.append(event["delta"])
        elif kind == "response.done":
            response_id = event["response"]["id"]
            if reply := self._open(response_id, kind):
                reply.status = event["response"]["status"]

    def _take_item(self, item: Event) -> None:
        if item["id"] in self._items:
            self.faults.append(f"{item['id']} was added twice")
        self._items.add(item["id"])
        self.roles.append(item.get("role", ""))

    def _take_audio(self, event: Event) -> None:
        response_id = self._streams.get(event["stream"], "")
        reply = self._open(response_id, "audio")
        if reply is None:
            return
        expected = len(reply.pcm) // 2
        if event["timestamp"] != expected:
            self.faults.append(f"{response_id}: sample {event['timestamp']} for {expected}")
        reply.pcm += event["pcm"]

    def _open(self, response_id: str, kind: str) -> _Reply | None:
        reply = self.replies.get(response_id)
        if reply is None:
            self.faults.append(f"{kind} for {response_id or 'no response'}, which was not created")
        elif reply.status:
            self.faults.append(f"{kind} for {response_id} after its end")
            return None
        return reply

    def judge(self, text: str | None = None, *, spoken: bool = True) -> list[str]:
        """Return everything that is wrong; `text` is what each completed reply says."""
        faults = list(self.faults)
        numbers: Iterator[int] = iter(range(1, 1_000_000))
        for response_id, reply in self.replies.items():
            if not reply.status:
                faults.append(f"{response_id} never ended")
            if text is not None and reply.status == "completed" and reply.text != text:
                faults.append(f"{response_id} says {reply.text!r}")
            if spoken:
                faults += self._wrong_samples(response_id, reply, numbers)
        return faults

    def _wrong_samples(
        self, response_id: str, reply: _Reply, numbers: Iterator[int]
    ) -> Iterator[str]:
        at = 0
        for clause in reply.clauses:
            if at >= len(reply.pcm):
                break
            text = speakable(clause)
            expected = self._find(text, bytes(reply.pcm[at : at + _PROBE_BYTES]), numbers)
            if expected is None:
                yield f"{response_id}: at sample {at // 2} no clause of this session begins"
                return
            heard = bytes(reply.pcm[at : at + len(expected)])
            if heard != expected[: len(heard)]:
                yield f"{response_id}: wrong samples in {clause!r}"
            at += len(expected)
        wanted_whole = reply.status == "completed"
        if at < len(reply.pcm) or (wanted_whole and at != len(reply.pcm)):
            yield f"{response_id}: {len(reply.pcm) // 2} samples for {at // 2}"

    def _find(self, text: str, begin: bytes, numbers: Iterator[int]) -> bytes | None:
        """Return the audio of the next job of this session that begins so."""
        for number, _ in zip(numbers, range(MOST_JOBS_BETWEEN), strict=False):
            pcm = tone(f"{self.session_id}.{number}", text)
            if pcm.startswith(begin[: len(pcm)]):
                return pcm
        return None
