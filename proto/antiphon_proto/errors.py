"""The errors raised on purpose, as one tree.

AntiphonError
    ConfigurationError      the configuration is wrong; start-up stops
    StartupError            something this process needs is missing; start-up stops
    ProtocolError
        MalformedMessage    bytes between processes that are not one of our messages
        MalformedAudioFrame bytes from a client that are not one of our audio frames
    StageError
        StageOverloaded     the stage's queue is full
        StageUnavailable    no worker of the stage can take the job
        JobFailed           a worker answered `Failed`
"""


class AntiphonError(Exception):
    """Base class of every error raised on purpose."""

    code = "internal"
    retryable = False


class ConfigurationError(AntiphonError):
    """Raised when the configuration holds an unknown key or a value out of range."""

    code = "configuration"


class StartupError(AntiphonError):
    """Raised when a package, model, port or directory that a process needs is missing.

    The text names the cause and the one command or setting that mends it.
    """

    code = "startup"


class ProtocolError(AntiphonError):
    """Base class of malformed input."""

    code = "protocol"


class MalformedMessage(ProtocolError):
    """Raised when bytes received from another process are not one of our messages."""

    code = "malformed_message"


class MalformedAudioFrame(ProtocolError):
    """Raised when a client's binary message is not a valid audio frame."""

    code = "malformed_audio_frame"


class StageError(AntiphonError):
    """Base class of a stage's failure to serve a job."""

    code = "stage"
    retryable = True


class StageOverloaded(StageError):
    """Raised when a job is refused because the stage's queue is full."""

    code = "stage_overloaded"

    def __init__(self, stage: str, limit: int) -> None:
        super().__init__(f"{stage} queue is full ({limit} jobs waiting)")
        self.stage = stage
        self.limit = limit


class StageUnavailable(StageError):
    """Raised when a job waited longer than its deadline for a worker."""

    code = "stage_unavailable"


class JobFailed(StageError):
    """Raised when a worker reports that it could not do a job."""

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
