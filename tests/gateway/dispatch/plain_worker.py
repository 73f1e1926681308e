"""A worker that speaks numbers: sample `n` of a job's audio is `n`. One process, real sockets.

    python plain_worker.py RUNTIME_DIR WORKER_ID SAMPLES_PER_JOB STEP_MS [deaf]

Each step of `STEP_MS` brings 100 samples. It heartbeats every 50 ms, so that tests are quick. A
deaf one hears no cancellation.
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path

import numpy as np

from antiphon_proto import codec
from antiphon_proto.channel import Bus
from antiphon_proto.messages import AudioDelta, Done, Finished, Heartbeat, Job, Result, ResultBody

STEP_SAMPLES = 100


class PlainWorker:
    def __init__(self, bus: Bus, worker_id: str, samples: int, step_ms: int, *, deaf: bool) -> None:
        self.worker_id = worker_id
        self.incarnation = secrets.token_hex(4)
        self.samples = samples
        self.step_ms = step_ms
        self.deaf = deaf
        self.endpoint = bus.endpoint(f"{worker_id}.{self.incarnation}.jobs")
        self.jobs = bus.pull(self.endpoint, hwm=2)
        self.control = bus.subscribe(bus.endpoint("gateway-0.control"), hwm=100)
        self.results = bus.push(bus.endpoint("gateway-0.results"), hwm=64)
        self.status = bus.push(bus.endpoint("gateway-0.status"), hwm=100)
        self.results.connect()
        self.status.connect()
        self.running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.take_jobs(group))
            if not self.deaf:
                group.create_task(self.take_cancellations())
            while True:
                self.heartbeat()
                await asyncio.sleep(0.05)

    def heartbeat(self) -> None:
        beat = Heartbeat(
            worker_id=self.worker_id,
            incarnation=self.incarnation,
            stage="tts",
            endpoint=self.endpoint,
            slots=1,
            engine="plain",
            model="numbers",
            pid=os.getpid(),
            running=tuple(self.running),
        )
        self.status.send(codec.encode(beat))

    async def take_jobs(self, group: asyncio.TaskGroup) -> None:
        while True:
            for frames in await self.jobs.receive():
                job, _ = codec.jobs.decode(frames)
                task = group.create_task(self.serve(job))
                self.running[job.job_id] = task
                task.add_done_callback(lambda _, job=job: self.finish(job))

    async def take_cancellations(self) -> None:
        while True:
            for frames in await self.control.receive():
                message, _ = codec.control.decode(frames)
                for job_id in message.job_ids:
                    if task := self.running.get(job_id):
                        task.cancel()

    async def serve(self, job: Job) -> None:
        numbers = np.arange(self.samples, dtype="<i2")
        index = 0
        for index, start in enumerate(range(0, self.samples, STEP_SAMPLES)):
            await asyncio.sleep(self.step_ms / 1000)
            pcm = numbers[start : start + STEP_SAMPLES].tobytes()
            await self.send(job, index, AudioDelta(sample_rate_hz=24_000), pcm)
        await self.send(job, index + 1, Done(engine_ms=1.0))

    async def send(self, job: Job, index: int, body: ResultBody, payload: bytes = b"") -> None:
        result = Result(
            job_id=job.job_id,
            session_id=job.session_id,
            turn_id=job.turn_id,
            revision=job.revision,
            attempt=job.attempt,
            index=index,
            body=body,
        )
        while not self.results.send(codec.encode(result, payload)):
            await self.results.writable(50)

    def finish(self, job: Job) -> None:
        del self.running[job.job_id]
        message = Finished(
            worker_id=self.worker_id,
            incarnation=self.incarnation,
            job_id=job.job_id,
            attempt=job.attempt,
        )
        self.status.send(codec.encode(message))


def main() -> None:
    runtime_dir, worker_id, samples, step_ms, *rest = sys.argv[1:]
    with Bus(Path(runtime_dir)) as bus:
        worker = PlainWorker(bus, worker_id, int(samples), int(step_ms), deaf=rest == ["deaf"])
        asyncio.run(worker.run())


if __name__ == "__main__":
    main()
