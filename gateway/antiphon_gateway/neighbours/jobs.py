"""The jobs of one request: submitted, awaited, ended with it."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from antiphon_gateway.dispatch.dispatcher import Dispatcher
from antiphon_gateway.dispatch.request import Request
from antiphon_gateway.neighbours.refusals import of_job
from antiphon_gateway.realtime.ids import new_id
from antiphon_proto.messages import Command, Done, Failed, Result, ResultBody


class JobResults:
    """The results of one job, in their order."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.done: Done | None = None
        """How it ended, once all results were taken."""
        self._results: asyncio.Queue[tuple[ResultBody, bytes]] = asyncio.Queue()

    def put(self, result: Result, payload: bytes) -> None:
        """Take a result from the dispatcher."""
        self._results.put_nowait((result.body, payload))

    async def __aiter__(self) -> AsyncIterator[tuple[ResultBody, bytes]]:
        """Yield every result that is not terminal. Raises RequestRefused when the job failed."""
        while True:
            body, payload = await self._results.get()
            if isinstance(body, Failed):
                raise of_job(body)
            if isinstance(body, Done):
                self.done = body
                return
            yield body, payload


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
