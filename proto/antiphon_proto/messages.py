"""Every message between Antiphon's processes. The prose is in proto/README.md.

New fields go last, with defaults. Bulk bytes travel beside a message, as its payload (`codec`).
"""

from typing import Literal

import msgspec

from antiphon_proto.conversation import ChatMessage, Function, Truncation
from antiphon_proto.stages import STAGES as STAGES
from antiphon_proto.stages import Stage as Stage
from antiphon_proto.stages import StageState as StageState
from antiphon_proto.stages import WorkerState as WorkerState

STT_SAMPLE_RATE_HZ = 16_000
"""Sample rate of all audio sent to STT workers."""


class Message(
    msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True
):
    """Base of every message: immutable, positional on the wire, unknown fields refused."""


# --- jobs: dispatcher -> worker ------------------------------------------------------------


class Transcribe(Message, frozen=True, kw_only=True, tag="transcribe"):
    """Speech to text. Payload: PCM16 mono at `STT_SAMPLE_RATE_HZ`."""

    final: bool
    """False for a partial: a newer partial of the same session makes this one worthless."""
    language: str | None = None
    """ISO 639-1 code, or None to let the engine decide."""
    prompt: str = ""


class PredictTurnEnd(Message, frozen=True, kw_only=True, tag="predict_turn_end"):
    """Has the speaker finished, by the sound of it? Served by STT workers.

    Payload: PCM16 mono at `STT_SAMPLE_RATE_HZ`, the newest of the utterance, with its silence.
    """


class Generate(Message, frozen=True, kw_only=True, tag="generate"):
    """Conversation to text. No payload."""

    messages: tuple[ChatMessage, ...]
    max_output_tokens: int
    temperature: float
    stop: tuple[str, ...] = ()
    """The text ends before the first of these, which is not sent; an engine may not know how."""
    functions: tuple[Function, ...] = ()
    """What may be called; when the last message is the assistant's, nothing is called."""
    must_call: bool = False
    """One of the functions is called, and nothing is said."""
    truncation: Truncation = Truncation()


class ReadPrompt(Message, frozen=True, kw_only=True, tag="read_prompt"):
    """Read a conversation into the prompt cache, ahead of a `Generate` that begins with it.

    No payload. The last message is the user's; the result: how probable it is that it ends there.
    """

    messages: tuple[ChatMessage, ...]
    functions: tuple[Function, ...] = ()
    truncation: Truncation = Truncation()


class Synthesize(Message, frozen=True, kw_only=True, tag="synthesize"):
    """Text to speech. No payload."""

    text: str
    voice: str
    speed: float = 1.0
    preceding: str = ""
    """What was said of the same sentence before `text`, with its space; only for the intonation."""
    following: str = ""
    """What comes of the same sentence after `text`, with its space; only for the intonation."""
    language: str = ""
    """ISO 639-1 code of what is spoken; empty: that of the voice."""


Command = Transcribe | PredictTurnEnd | Generate | ReadPrompt | Synthesize


class Job(Message, frozen=True, kw_only=True, tag="job"):
    """One piece of work, with all that a worker needs to do it."""

    job_id: str
    """Unique per job; a re-issued job keeps it and counts `attempt` up."""
    session_id: str
    turn_id: int
    revision: int
    attempt: int
    """1 for the first try. Results of any other attempt than the current one are dropped."""
    reply_to: str
    """Name of the gateway that wants the results; never an address."""
    budget_ms: int
    """Time left before the result is worthless, counted from when the job is sent."""
    patience_ms: int = 0
    """How long nobody waits for the first result yet, counted from when the job is sent. So long it
    leaves its stage's last free slot to urgent jobs, and its worker may put others first."""
    command: Command


# --- results: worker -> gateway ------------------------------------------------------------


class Transcript(Message, frozen=True, kw_only=True, tag="transcript"):
    """The text of the audio, possibly empty."""

    text: str
    language: str = ""
    no_speech_probability: float = 0.0
    average_log_probability: float = 0.0


class TurnEnd(Message, frozen=True, kw_only=True, tag="turn_end"):
    """How probable it is that the speaker has finished; and a phrase, which models can tell."""

    probability: float
    phrase_end: float | None = None


class TextDelta(Message, frozen=True, kw_only=True, tag="text.delta"):
    """Text to append to the response."""

    text: str


class FunctionCalled(Message, frozen=True, kw_only=True, tag="function_called"):
    """The model calls a function of the client."""

    name: str
    arguments: str
    """A JSON object as text, valid by the function's schema as far as the engine can tell."""
    more_follow: bool = False
    """Whether it is not the job's last call."""


class SpokenWord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a word of a job's text ends in its audio."""

    end_character: int
    """Characters of the text up to the end of the word."""
    end_sample: int
    """Samples of the job's audio up to the end of the word."""
    pause_samples: int = 0
    """Samples between the end of the word before it and its beginning."""


class AudioDelta(Message, frozen=True, kw_only=True, tag="audio.delta"):
    """Audio to append to the clause's speech. Payload: PCM16 mono."""

    sample_rate_hz: int
    words: tuple[SpokenWord, ...] = ()
    """The words that end in this audio, in order; none from an engine that does not know."""


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """The job is finished. Terminal."""

    engine_ms: float
    """Time the engine spent on the job."""
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: Literal["stop", "length"] = "stop"


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The job could not be done. Terminal."""

    code: str
    message: str
    retryable: bool


ResultBody = Transcript | TurnEnd | TextDelta | FunctionCalled | AudioDelta | Done | Failed


class Result(Message, frozen=True, kw_only=True, tag="result"):
    """One step of a job's result stream."""

    job_id: str
    session_id: str
    turn_id: int
    revision: int
    attempt: int
    index: int
    """0, 1, 2, ... without gaps within an attempt."""
    body: ResultBody


# --- status: worker -> dispatcher ----------------------------------------------------------


class Loading(Message, frozen=True, kw_only=True, tag="loading"):
    """The worker is loading its engine and cannot take jobs yet."""

    worker_id: str
    stage: Stage
    engine: str
    model: str
    elapsed_ms: int


class Heartbeat(Message, frozen=True, kw_only=True, tag="heartbeat"):
    """The worker is alive. The first one announces it; every one is complete by itself."""

    worker_id: str
    """Stable across restarts of the same program, for example `stt-0`."""
    incarnation: str
    """New at every start of the process."""
    stage: Stage
    endpoint: str
    """Where this incarnation's job socket is bound."""
    slots: int
    """Jobs it may hold at once; 0 while it drains."""
    engine: str
    model: str
    pid: int
    running: tuple[str, ...] = ()
    """Ids of the jobs it holds."""
    last_step_age_ms: int = 0
    """Time since a running job last made a step; 0 when idle."""
    attempts: tuple[int, ...] = ()
    """Of each job of `running`, which try it is; empty: not told."""
    step_ages_ms: tuple[int, ...] = ()
    """Of each job of `running`, the time since its last step; empty: `last_step_age_ms` of all."""
    steps_ms: tuple[int, ...] = ()
    """How long the steps took that were made since the heartbeat before."""
    load_ms: int = 0
    """How long it took to load its engine; 0: not known."""
    voices: tuple[str, ...] = ()
    """Of the stage tts: the voices that clients may choose, the default first."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of what its voices speak, the default first; empty: it does not know."""
    malformed: int = 0
    """Messages that it dropped since the heartbeat before because they are none of its channels."""


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """A slot is free again: the job ended (in `Done`, `Failed` or by cancellation)."""

    worker_id: str
    incarnation: str
    job_id: str
    attempt: int


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """The worker did not take the job: no free slot, or it is draining."""

    worker_id: str
    incarnation: str
    job_id: str
    attempt: int
    reason: Literal["busy", "draining", "malformed"]


class Goodbye(Message, frozen=True, kw_only=True, tag="goodbye"):
    """The worker is about to exit in good order and holds no job."""

    worker_id: str
    incarnation: str


Status = Loading | Heartbeat | Finished | Refused | Goodbye


# --- control: dispatcher -> workers (a hint; the truth is the fence in the gateway) --------


class CancelJobs(Message, frozen=True, kw_only=True, tag="cancel"):
    """Nobody wants the results of these jobs any more."""

    job_ids: tuple[str, ...]
    through_attempt: int = 0
    """Only tries up to this one are meant, a later one at the same worker is not; 0: every try."""


Control = CancelJobs


# --- requests: gateway -> dispatcher, where that is a process of its own ---------------------


class EnqueueJob(Message, frozen=True, kw_only=True, tag="enqueue"):
    """Give a job to a worker. Payload: the job's. Sent again, it changes nothing.
    A higher attempt of a known job takes the place of the lower one."""

    job: Job
    """`budget_ms` and `patience_ms` count from when this is sent."""
    urgent: bool = False
    """Goes before jobs that are not."""
    again: bool = False
    """Was sent before: goes before all that were not."""
    worker_id: str = ""
    """Where it is already, as an earlier dispatcher said; empty: nowhere."""


class WithdrawJobs(Message, frozen=True, kw_only=True, tag="withdraw"):
    """The gateway does not want these jobs any more, or their tries up to one."""

    gateway: str
    job_ids: tuple[str, ...]
    through_attempt: int = 0
    """0: every try."""


class OpenJob(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One try of a job that is not over."""

    job_id: str
    attempt: int


class GatewayBeat(Message, frozen=True, kw_only=True, tag="gateway"):
    """The gateway is alive; every one is complete by itself."""

    gateway: str
    jobs: tuple[OpenJob, ...] = ()
    """Every try that it waits for. What is not named here is not wanted any more."""


DispatchRequest = EnqueueJob | WithdrawJobs | GatewayBeat


# --- notices: dispatcher -> gateway --------------------------------------------------------


class JobSent(Message, frozen=True, kw_only=True, tag="sent"):
    """A worker was sent the job."""

    job_id: str
    attempt: int
    worker_id: str


class JobReleased(Message, frozen=True, kw_only=True, tag="released"):
    """The worker holds the job no more; its terminal result travels apart and may come later."""

    job_id: str
    attempt: int


class JobLost(Message, frozen=True, kw_only=True, tag="lost"):
    """The try came to nothing: its worker is gone or stuck."""

    job_id: str
    attempt: int
    cause: str
    died: bool
    """Whether the worker died or hung, so that the job may be what killed it."""


class JobRejected(Message, frozen=True, kw_only=True, tag="rejected"):
    """The job is not going to be done."""

    job_id: str
    attempt: int
    code: str
    message: str
    retryable: bool


class PoolState(Message, frozen=True, kw_only=True, tag="pool"):
    """The dispatcher's answer to each `GatewayBeat`."""

    incarnation: str
    """New at every start of the dispatcher."""
    unknown: tuple[OpenJob, ...]
    """What the beat named and the dispatcher does not hold."""
    stages: tuple[StageState, ...]
    counts: dict[str, int]
    """What befell workers so far, by the names of the gateway's counters."""


Notice = JobSent | JobReleased | JobLost | JobRejected | PoolState
