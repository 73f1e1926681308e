"""The jobs of one request: submitted, awaited, ended with it.

Policy when full: a client that takes a job's results so slowly loses the request.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.neighbours.refusals import of_job
from antiphon_gateway.realtime.ids import new_id
from antiphon_proto.messages import Command, Done, Failed, Result, ResultBody

MAX_RESULTS = 8_192
"""Of one job, not taken yet: twice as many as a chat may have tokens."""
MAX_RESULT_BYTES = 16 * 1024 * 1024
"""Audio of one job, not taken yet: six minutes, where the slowest clause lasts one."""


class JobResults:
    """The results of one job, in their order."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.done: Done | None = None
        """How it ended, once all results were taken."""
        self._results: asyncio.Queue[tuple[ResultBody, bytes]] = asyncio.Queue(MAX_RESULTS)
        self._waiting_bytes = 0

    def put(self, result: Result, payload: bytes) -> None:
        """Take a result from the dispatcher."""
        if self._results.full() or self._waiting_bytes + len(payload) > MAX_RESULT_BYTES:
            while not self._results.empty():
                self._results.get_nowait()
            self._waiting_bytes = 0
            self._results.put_nowait((_TOO_SLOW, b""))
            return
        self._waiting_bytes += len(payload)
        self._results.put_nowait((result.body, payload))

    async def __aiter__(self) -> AsyncIterator[tuple[ResultBody, bytes]]:
        """Yield every result that is not terminal. Raises RequestRefused when the job failed."""
        while True:
            body, payload = await self._results.get()
            self._waiting_bytes -= len(payload)
            if isinstance(body, Failed):
                raise of_job(body)
            if isinstance(body, Done):
                self.done = body
                return
            yield body, payload


_TOO_SLOW = Failed(
    code="client_too_slow",
    message=f"more than {MAX_RESULTS} results or {MAX_RESULT_BYTES} bytes of a job were not taken",
    retryable=False,
)


class Jobs:
    """What a request asks of the workers. Leaving the context ends what still runs."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.request_id = new_id("req")
        self._dispatcher = dispatcher
        self._job_ids: list[str] = []

    async def __aenter__(self) -> "Jobs":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dispatcher.cancel(self._job_ids)

    def start(
        self, command: Command, *, payload: bytes = b"", budget_ms: int, urgent: bool = False
    ) -> JobResults:
        """Queue a job."""
        job_id = f"{self.request_id}.{len(self._job_ids)}"
        self._job_ids.append(job_id)
        results = JobResults(job_id)
        request = Request(
            job_id=job_id,
            session_id=self.request_id,
            turn_id=0,
            revision=0,
            command=command,
            payload=payload,
            budget_ms=budget_ms,
            urgent=urgent,
        )
        self._dispatcher.submit(request, results.put)
        return results

    def cancel(self, results: JobResults) -> None:
        """End one job whose results nobody wants any more."""
        self._dispatcher.cancel([results.job_id])
