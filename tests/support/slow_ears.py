"""A gateway whose voice activity detector stands still while a file exists, and a worker that
keeps the longest audio it transcribes: `slow_ears.py FILE antiphon-gateway|antiphon-worker ...`.
"""

import sys
import time
from pathlib import Path

from antiphon_gateway.__main__ import main as gateway
from antiphon_gateway.loudness import LoudnessModel
from antiphon_workers.__main__ import main as worker
from antiphon_workers.stt.simulated import SimulatedStt


def main() -> int:
    """Run the program with its ears changed."""
    path, program = Path(sys.argv[1]), Path(sys.argv[2]).name
    sys.argv = sys.argv[2:]
    step, text = LoudnessModel.step, SimulatedStt._text

    def slow_step(model, windows, state):  # type: ignore[no-untyped-def]
        while path.exists():
            time.sleep(0.01)
        return step(model, windows, state)

    def noted_text(engine, payload):  # type: ignore[no-untyped-def]
        heard = path.with_suffix(".heard")
        if not heard.exists() or heard.stat().st_size < len(payload):
            heard.write_bytes(payload)
        return text(engine, payload)

    LoudnessModel.step = slow_step  # type: ignore[method-assign]
    SimulatedStt._text = noted_text  # type: ignore[method-assign]
    return {"antiphon-gateway": gateway, "antiphon-worker": worker}[program]()


if __name__ == "__main__":
    sys.exit(main())
