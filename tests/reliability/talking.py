"""B13: fifty people talk at once."""

import asyncio
import json
import sys
from pathlib import Path

from bars import Figure, Run, bar, percentile
from servers import ENGINES, GATEWAY, cpu_s
from system import running_system
from system_client import SPEECH

ROOT = Path(__file__).parents[2]
SLOTS = {"stt.slots": 256, "llm.slots": 256, "tts.slots": 256}
AT_ONCE_ENGINE = {"simulated.llm_first_token_ms": 0, "gateway.admission_queue_wait_ms": 0}


@bar("B13", "50 talking sessions, 20 ms frames: what gateway and ZeroMQ add, both ways")
async def talking(run: Run) -> list[Figure]:
    """A request passes gateway, dispatch, a worker that answers at once, and back, in no time."""
    sessions, seconds = run.size(50, 5), run.size(16, 4)
    with running_system({**ENGINES, **SLOTS, **AT_ONCE_ENGINE}) as server:
        used_s = cpu_s(server.pid(GATEWAY))
        command = [sys.executable, "-m", "bench.sessions.load", "--port", str(server.port)]
        command += ["--sessions", str(sessions), "--seconds", str(seconds)]
        command += ["--clip", str(SPEECH / "go_forward.wav"), "--seed", str(run.seed)]
        load = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        output, _ = await load.communicate()
        seen = json.loads(output)
        run.notes["gateway CPU, s"] = round(cpu_s(server.pid(GATEWAY)) - used_s, 1)
        server.assert_no_traceback()
    run.notes |= {"requests": len(seen["hops_ms"]), "turns": len(seen["turns_ms"])}
    return [
        Figure("frames dropped", seen["dropped_frames"], 0),
        Figure("sessions closed", seen["closed"], 0),
        Figure("turns missing", max(0, sessions * int(seconds // 8) - len(seen["turns_ms"])), 0),
        Figure("added p50", percentile(seen["hops_ms"], 50), 2, "ms", timed=True),
        Figure("added p95", percentile(seen["hops_ms"], 95), 10, "ms", timed=True),
    ]
