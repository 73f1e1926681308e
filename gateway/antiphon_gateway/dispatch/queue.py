"""The jobs of one stage that wait for a worker, in the order they deserve one.

Three lanes, served strictly in order: jobs to be made again, urgent ones, the others. Within a lane
sessions take turns, so that one session's forty sentences delay another's first by one job. Within
a session the order is that of submission.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple

AGAIN = 0
URGENT = 1
NORMAL = 2


class _Place(NamedTuple):
    lane: int
    session_id: str


class FairQueue:
    """Waiting job ids. Every job id is in it at most once."""

    def __init__(self) -> None:
        self._lanes: tuple[OrderedDict[str, deque[str]], ...] = tuple(
            OrderedDict() for _ in (AGAIN, URGENT, NORMAL)
        )
        self._places: dict[str, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._places

    def __iter__(self) -> Iterator[str]:
        """Yield every job, in no order."""
        return iter(self._places)

    def push(self, job_id: str, session_id: str, lane: int) -> None:
        """Add a job behind its session's others; one to be made again goes before them."""
        jobs = self._lanes[lane].setdefault(session_id, deque())
        if lane == AGAIN:
            jobs.appendleft(job_id)
        else:
            jobs.append(job_id)
        self._places[job_id] = _Place(lane, session_id)

    def heads(self) -> Iterator[str]:
        """Yield what may be taken next, the most deserving first. Do not change the queue."""
        for lane in self._lanes:
            for jobs in lane.values():
                yield jobs[0]

    def take(self, job_id: str) -> None:
        """Remove a job that gets its worker; its session goes to the end of the round."""
        place = self._places[job_id]
        self.remove(job_id)
        if place.session_id in self._lanes[place.lane]:
            self._lanes[place.lane].move_to_end(place.session_id)

    def remove(self, job_id: str) -> None:
        """Remove a job if it is here; its session keeps its turn."""
        place = self._places.pop(job_id, None)
        if place is None:
            return
        jobs = self._lanes[place.lane][place.session_id]
        jobs.remove(job_id)
        if not jobs:
            del self._lanes[place.lane][place.session_id]

    def replace(self, old: str, new: str) -> None:
        """Put a job of the same session in the place of another."""
        place = self._places.pop(old)
        jobs = self._lanes[place.lane][place.session_id]
        jobs[jobs.index(old)] = new
        self._places[new] = place

    def of_session(self, session_id: str) -> list[str]:
        """Return the session's waiting jobs."""
        return [job_id for lane in self._lanes for job_id in lane.get(session_id, ())]
