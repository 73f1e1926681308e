"""How long jobs wait and take: the dispatcher's observer. Pure."""

import dataclasses
from collections.abc import Callable

from antiphon_gateway.dispatch.request import Request
from antiphon_proto.messages import STAGES, Stage, Transcribe


@dataclasses.dataclass(slots=True)
class _Course:
    stage: Stage
    kind: str
    urgent: bool
    submitted_ms: int
    waits: bool = True


Waited = Callable[[Stage, bool, int, int], None]
"""Called with stage, urgency, the wait in milliseconds, and the time."""
Ended = Callable[[Stage, str, str, int], None]
"""Called with stage, kind, outcome, and the milliseconds since submission."""


class JobTimes:
    """Follows every job that is not over."""

    def __init__(self, waited: Waited, ended: Ended) -> None:
        self._waited = waited
        self._ended = ended
        self._courses: dict[str, _Course] = {}

    def submitted(self, request: Request, now_ms: int) -> None:
        """A job was asked for."""
        self._courses[request.job_id] = _Course(
            request.stage, _kind(request), request.urgent, now_ms
        )

    def sent(self, job_id: str, now_ms: int) -> None:
        """A worker was sent a job; only the first attempt ends its wait."""
        course = self._courses.get(job_id)
        if course and course.waits:
            course.waits = False
            self._waited(course.stage, course.urgent, now_ms - course.submitted_ms, now_ms)

    def ended(self, job_id: str, outcome: str, now_ms: int) -> None:
        """A job is over."""
        if course := self._courses.pop(job_id, None):
            self._ended(course.stage, course.kind, outcome, now_ms - course.submitted_ms)

    def urgent_waiting_ms(self, now_ms: int) -> dict[Stage, list[int]]:
        """Return how long urgent jobs have waited that were never sent, by stage."""
        waiting: dict[Stage, list[int]] = {stage: [] for stage in STAGES}
        for course in self._courses.values():
            if course.urgent and course.waits:
                waiting[course.stage].append(now_ms - course.submitted_ms)
        return waiting


def _kind(request: Request) -> str:
    if isinstance(request.command, Transcribe):
        return "transcribe_partial" if request.partial else "transcribe_final"
    return str(type(request.command).__struct_config__.tag)
