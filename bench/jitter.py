"""Measures how late this machine wakes a waiting process: the noise floor of every figure."""

import asyncio
import time

SLEEP_S = 0.001
MAX_PROBES = 1_000_000


class JitterProbe:
    """Sleeps for 1 ms again and again and notes by how much longer it took."""

    def __init__(self) -> None:
        self.overshoots_ms: list[float] = []

    async def run(self) -> None:
        """Probe until cancelled."""
        while len(self.overshoots_ms) < MAX_PROBES:
            began_s = time.perf_counter()
            await asyncio.sleep(SLEEP_S)
            self.overshoots_ms.append((time.perf_counter() - began_s - SLEEP_S) * 1000)
