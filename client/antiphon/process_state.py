"""What a supervisor says of one process."""

import msgspec


class ProcessState(msgspec.Struct, frozen=True):
    """One copy of a program."""

    name: str
    running: bool
    pid: int
    started: float
    """Unix time of its last start, in seconds; 0 before the first."""
    exit_code: int
    """Of the last end; below 0 for a signal. supervisord says 0 while it runs."""
