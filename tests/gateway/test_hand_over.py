"""Which gateways are alive: those that a session could be asked of."""

import socket
from pathlib import Path
from typing import cast

from antiphon_gateway.hand_over import HandOver
from antiphon_gateway.sessions import Sessions


async def test_a_gateway_is_alive_while_its_process_is(tmp_path: Path) -> None:
    nobody = cast(Sessions, None)
    one, two = (HandOver(tmp_path, f"gateway-{number}", nobody) for number in range(2))
    assert not one.is_alive("gateway-1")
    runner = await two.listen()
    assert one.is_alive("gateway-1")
    await runner.cleanup()
    assert not one.is_alive("gateway-1")


async def test_a_gateway_that_was_killed_is_dead_and_one_that_is_stuck_is_not(
    tmp_path: Path,
) -> None:
    hand_over = HandOver(tmp_path, "gateway-0", cast(Sessions, None))
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(tmp_path / "gateway-1.resume"))
        stuck.listen(0)
        assert all(hand_over.is_alive("gateway-1") for _ in range(4)), "whoever else waits for it"
    assert (tmp_path / "gateway-1.resume").exists()
    assert not hand_over.is_alive("gateway-1")
