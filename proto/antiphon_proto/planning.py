"""What the processes of `antiphon plan` tell each other, and what it keeps in files."""

from typing import Annotated

import msgspec

from antiphon_proto.messages import Stage

Amount = Annotated[float, msgspec.Meta(ge=0.0)]
Number = Annotated[int, msgspec.Meta(ge=1)]
Span = tuple[Amount, Amount]
"""Least and most of something that is drawn evenly between them."""

REPLIES = (
    "Yes, of course.",
    "The capital of France is Paris. It lies on the Seine, and two million people live there.",
    "To boil an egg, put it into boiling water for seven minutes. Then hold it under cold water, "
    "so that it does not go on cooking. It peels more easily if it is a few days old.",
)


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: a misspelt key is refused."""


class Point(Known, frozen=True, kw_only=True):
    """One worker that holds so many jobs all the time."""

    jobs: Number
    first_ms: Amount
    """From asking to the first result, without what `step_ms` counts."""
    step_ms: Amount = 0.0
    """For each second of speech heard (stt) or made (tts), for each word (llm)."""
    cores: Amount = 0.0
    """Processor cores that the worker keeps busy meanwhile."""


class Engine(Known, frozen=True, kw_only=True):
    """What one worker of a stage can do."""

    engine: str
    model: str
    slots: Number
    points: Annotated[tuple[Point, ...], msgspec.Meta(min_length=1)]
    """By ascending `jobs`."""


class Figures(Known, frozen=True, kw_only=True):
    """What was measured on a machine; the file of `antiphon plan --from`."""

    engines: dict[Stage, Engine]
    cores: Number
    """Processor cores of the machine."""
    gateway_ms: Amount = 6.5
    """Processor time of a gateway for each second of a talking session."""
    gateway_measured: bool = False
    """Whether that was measured; else it is taken to be so."""
    hop_ms: Amount = 0.5
    """From one of a gateway's sockets to another of them, in an idle gateway."""


class Conversation(Known, frozen=True, kw_only=True):
    """How one person talks with the server, again and again: thinks, speaks, waits, listens."""

    speech_s: Span = (1.5, 5.0)
    think_s: Span = (1.0, 5.0)
    """From the end of a reply to the next utterance."""
    replies: tuple[str, ...] = REPLIES
    """One of them is drawn for each turn."""
    pause_ms: Amount = 100.0
    """From the end of speech until its final transcript is asked for."""
    release_ms: Amount = 500.0
    """From the end of speech until the turn is known to be over; nothing is heard before."""
    partial_interval_ms: Amount = 400.0
    """Between partial transcripts while the user speaks; 0: none."""
    speculation: bool = True
    speculation_wait_ms: Amount = 150.0
    """A longer wait at any stage has the answer begin at the end of the turn only."""
    first_clause_words: Number = 3
    audio_lead_s: Amount = 0.0
    """How long before a reply has been heard the next thought begins: of clients that count from
    the last audio they got."""


class Machines(Known, frozen=True, kw_only=True):
    """What conversations are held on: `pools` that are alike, each with workers of its own."""

    workers: dict[Stage, Number] = {}
    """Of one pool; with `cards` they follow from those."""
    cards: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Graphics cards of one pool, one worker on each, dealt to the stages; 0: `workers` counts."""
    cores: Annotated[float, msgspec.Meta(gt=0.0)]
    """Of all hosts of one pool."""
    gateways: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Processes of one pool; 0: as many as the conversations need."""
    dispatchers: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Dispatcher processes of one pool, which has one at most. Two tell what smaller pools, each
    with one, would buy."""
    networked: bool = False
    """Whether a pool's processes are on several hosts."""
    pools: Number = 1


class Question(Known, frozen=True, kw_only=True):
    """What is to be planned."""

    figures: Figures
    machines: Machines
    conversation: Conversation = Conversation()
    p95_ms: Amount
    """The bar: 95 of 100 answers are heard within it, counted from the end of speech."""
    most_gaps: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 0.05
    """And in no larger share of the answers there is silence between two clauses."""
    conversations: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Are so many held? 0: it is not asked."""
    seed: int = 1


class Outcome(Known, frozen=True, kw_only=True):
    """So many conversations, simulated."""

    conversations: int
    turns: int
    p50_ms: float | None
    """How long half of the answers, or all but one in twenty, were waited for; None: for ever."""
    p95_ms: float | None
    gap_share: float
    """Answers in which something was to be heard later than what was before it had ended."""
    busy: dict[str, float]
    """How much of each part is used, 0 to 1."""
    gateways: int
    """Gateway processes of each pool."""

    def keeps(self, question: Question) -> bool:
        """Tell whether answers came, and went on, as the question wants it."""
        in_time = self.p95_ms is not None and self.p95_ms <= question.p95_ms
        return in_time and self.gap_share <= question.most_gaps


class Plan(Known, frozen=True, kw_only=True):
    """The answer. Conversations are those of all pools together."""

    machines: Machines
    """With the workers that the cards were dealt to."""
    p95_ms: float
    capacity: int
    at_capacity: Outcome
    """Of one conversation in each pool when the bar is missed even then."""
    limit: str
    """The part that twice as much of would buy most; empty: none buys anything."""
    doubled: dict[str, int]
    """Capacity with twice as much of each part."""
    one_more: dict[Stage, int]
    """Capacity with one more worker of a stage in each pool."""
    asked: Outcome | None = None
    """Of the conversations asked for."""
    pools_needed: int = 0
    """Pools that hold the conversations asked for; 0: not asked, or no number of them does."""
