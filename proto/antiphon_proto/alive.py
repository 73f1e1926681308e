"""A sign of life for whoever asks from outside: a file that is touched while the process serves."""

import asyncio
from pathlib import Path

INTERVAL_S = 1.0


async def show(directory: Path, name: str) -> None:
    """Touch `NAME.alive` in a directory every second until cancelled, then remove it.

    The file grows old when the event loop stands still, and when the process is killed.
    """
    path = directory / f"{name}.alive"
    try:
        while True:
            await asyncio.to_thread(path.touch)
            await asyncio.sleep(INTERVAL_S)
    finally:
        path.unlink(missing_ok=True)
