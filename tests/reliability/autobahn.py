"""The Autobahn test suite against the gateway's WebSocket: RFC 6455, 247 cases. See the README.

The suite wants an echo, so one stands behind the socket in place of a session.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from aiohttp import WSMsgType, web

from antiphon_gateway.connection import new_socket

CASES = [*(f"{group}.*" for group in range(1, 8)), "10.*"]
"""Without 9 (sizes and speed) and 12, 13 (compression, which the gateway does not offer)."""
KNOWN = {"7.9.5": "close code 1006 is taken: a gap of aiohttp"}
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"}


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send back what comes."""
    socket = new_socket(None)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def run(wstest: str, folder: Path) -> dict[str, str]:
    """Return what became of each case: how it behaved and, where worse, how it closed."""
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    spec = {
        "outdir": str(folder / "reports"),
        "servers": [{"agent": "antiphon", "url": f"ws://127.0.0.1:{runner.addresses[0][1]}"}],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    suite = await asyncio.create_subprocess_exec(
        wstest, "-m", "fuzzingclient", "-s", "spec.json", cwd=folder, stdout=sys.stderr
    )
    if await asyncio.wait_for(suite.wait(), 300):
        raise SystemExit(f"{wstest} ended with code {suite.returncode}")
    await runner.cleanup()
    found = json.loads((folder / "reports" / "index.json").read_text())["antiphon"]
    return {
        case: result["behavior"] if result["behavior"] not in GOOD else _closed(result)
        for case, result in found.items()
    }


def _closed(result: dict[str, str]) -> str:
    return result["behavior"] if result["behaviorClose"] in GOOD else result["behaviorClose"]


def main() -> int:
    """Return 0 when every case but the known one is as the standard says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wstest", help="the program of autobahntestsuite")
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(str(Path(parser.parse_args().wstest).resolve()), Path(folder)))
    print(f"{len(found)} cases: {dict(Counter(found.values()))}")
    bad = {case: behaviour for case, behaviour in found.items() if behaviour not in GOOD}
    for case, behaviour in bad.items():
        print(f"  {case}: {behaviour}{f' ({KNOWN[case]})' if case in KNOWN else ''}")
    return int(bool(bad.keys() - KNOWN.keys()) or len(found) < 240)


if __name__ == "__main__":
    sys.exit(main())
