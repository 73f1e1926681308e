"""What it costs to keep a session in its file, which happens on the gateway's event loop.

Every row is a session of another size, kept again and again: the core alone, taken and encoded, and
the whole, with what the client has not acknowledged and the file.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from antiphon_gateway import session_snapshot
from antiphon_gateway.keeper import Keeper
from antiphon_gateway.outbox import Outbox
from antiphon_gateway.realtime import catalogue
from antiphon_gateway.realtime.items import InputAudio, MessageItem, OutputAudio
from antiphon_gateway.session import Session
from antiphon_gateway.session_context import SessionContext
from antiphon_gateway.snapshot_files import SnapshotFiles
from antiphon_proto.config import Config
from bench.statistics import percentile

_SENTENCE = "This is about what a person says in one turn of a talk, give or take a word or two."
_FRAME = bytes(24 + 1_920)


class Size(NamedTuple):
    """What a session holds."""

    name: str
    items: int
    unacknowledged_bytes: int


SIZES = (
    Size("a first turn", 2, 30_000),
    Size("twenty turns", 40, 60_000),
    Size("two hundred turns", 400, 60_000),
    Size("a full conversation", 1_000, 60_000),
    Size("a client that acknowledges nothing", 40, 1024 * 1024),
)


def session_of(size: Size, config: Config) -> tuple[Session, Outbox]:
    """Return a session of a size, and what waits for its client."""
    context = SessionContext(config, session_id="sess_bench", extensions=True)
    session = Session(context, catalogue.from_config(config))
    for number in range(size.items):
        spoken = number % 2
        session.history.conversation.add(
            MessageItem(
                id=f"item_{number:020d}",
                role="assistant" if spoken else "user",
                content=(OutputAudio(transcript=_SENTENCE),)
                if spoken
                else (InputAudio(transcript=_SENTENCE),),
            )
        )
    outbox = Outbox(keeps=True)
    for _ in range(size.unacknowledged_bytes // len(_FRAME)):
        outbox.put(_FRAME)
        outbox.take()
    return session, outbox


def times_ms(step: Callable[[], object], times: int) -> list[float]:
    """Return how long a step took, each time."""
    taken = []
    for _ in range(times):
        began_s = time.perf_counter()
        step()
        taken.append((time.perf_counter() - began_s) * 1000)
    return taken


def _encoded_core(session: Session) -> bytes:
    return msgspec.msgpack.encode(session_snapshot.take(session))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="snapshots of each size")
    parser.add_argument("--directory", help="where the files are written, else a temporary one")
    chosen = parser.parse_args(arguments)
    config = Config()
    print("| session | file, kB | core, ms | whole p50, ms | p95 | p99 |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        for size in SIZES:
            session, outbox = session_of(size, config)
            files = SnapshotFiles(Path(directory), size.name.replace(" ", "-"))
            keeper = Keeper(files, bytes(32), None)
            core = times_ms(partial(_encoded_core, session), chosen.times)
            whole = times_ms(partial(keeper.keep, session, outbox, 0, 0), chosen.times)
            file = next(Path(directory).rglob(f"{size.name.replace(' ', '-')}/sess_bench/1"))
            figures = [percentile(whole, share) for share in (50, 95, 99)]
            print(
                f"| {size.name} | {file.stat().st_size / 1000:.0f} | {percentile(core, 50):.3f} | "
                + " | ".join(f"{figure:.2f}" for figure in figures)
                + " |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
