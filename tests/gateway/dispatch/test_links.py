"""The job connections to workers, over real sockets."""

import asyncio
from pathlib import Path

import pytest

from antiphon_gateway.dispatch.actions import Connect
from antiphon_gateway.dispatch.links import LAST_WORDS_S, Links
from antiphon_proto.channel import Bus


@pytest.mark.parametrize("said_goodbye", [False, True])
async def test_a_worker_that_said_goodbye_is_not_lost(tmp_path: Path, said_goodbye: bool) -> None:
    seen: list[str] = []
    connected = asyncio.Event()

    def changed(worker_id: str, incarnation: str, event: str) -> None:
        assert (worker_id, incarnation) == ("tts-0", "a")
        seen.append(event)
        connected.set()

    with Bus(tmp_path / "run") as bus:
        endpoint = bus.endpoint("tts-0.a.jobs")
        worker = bus.pull(endpoint, hwm=2)
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            links = Links(bus, group, changed)
            links.open(Connect("tts-0", "a", endpoint, 1))
            await connected.wait()
            worker.close()
            await asyncio.sleep(LAST_WORDS_S / 5)
            if said_goodbye:
                links.close("tts-0")
            await asyncio.sleep(LAST_WORDS_S * 4)
            links.close("tts-0")
    assert seen == ["connected", *([] if said_goodbye else ["disconnected"])]
