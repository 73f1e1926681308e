"""`make reliability`: runs the bars of the acceptance table and says which hold. See README.md."""

import argparse
import asyncio
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parents[1])]

import cancelled  # noqa: E402
import hostile  # noqa: E402
import kills  # noqa: E402
import links  # noqa: E402
import many  # noqa: E402
import restarts  # noqa: E402
import sharing  # noqa: E402
import talking  # noqa: E402
import worker_links  # noqa: E402
import workers_die  # noqa: E402
from bars import BARS, Bar, Jitter, Result, Run  # noqa: E402

from bench.jitter_process import probing  # noqa: E402

MODULES = (
    cancelled,
    hostile,
    kills,
    links,
    many,
    restarts,
    sharing,
    talking,
    worker_links,
    workers_die,
)
TRIES = 3


async def measure(bar: Bar, seed: int, tries: int, deadline_s: float, small: bool) -> Result:
    """Run a bar, again while the machine was too busy for its times."""
    began_s, tried = time.monotonic(), 0
    while True:
        tried += 1
        run, failure, figures = Run(seed, small=small), "", []
        async with probing() as probe:
            try:
                figures = await bar.run(run)
            except Exception:  # noqa: BLE001 - a bar that breaks has failed; the others still run
                failure = traceback.format_exc()
        result = Result(
            bar.name,
            bar.title,
            seed,
            figures,
            Jitter(*probe.overshoot),
            tried,
            time.monotonic() - began_s,
            failure,
            run.notes,
        )
        if result.verdict != "unfit" or tried >= tries or time.monotonic() > deadline_s:
            return result


def show(result: Result) -> None:
    """Print one bar."""
    print(f"{result.verdict:5} {result.bar:6} {result.title}  (seed {result.seed})")
    for figure in result.figures:
        mark = " " if figure.holds else "!"
        value = f"{figure.value:.4g} {figure.unit}".strip()
        print(f"     {mark} {figure.name}: {value}, at most {figure.level:g}")
    for name, note in result.notes.items():
        print(f"       {name}: {note}")
    if result.failure:
        print(result.failure)
    jitter, unfit = result.jitter, result.verdict == "unfit"
    print(
        f"       {result.took_s:.0f} s, {result.tries} run(s); timer overshoot p99 "
        f"{jitter.p99_ms:.1f} ms, max {jitter.max_ms:.0f} ms"
        + ("; machine unfit: it was too busy for the times to mean anything" if unfit else ""),
        flush=True,
    )


def main() -> int:
    """Return 0 when every bar holds, 1 when one fails, 3 when the machine was unfit for some."""
    parser = argparse.ArgumentParser(prog="make reliability")
    parser.add_argument("--bar", action="append", help="only this bar, for example B7; repeatable")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--tries", type=int, default=TRIES, help="runs on a machine that is busy")
    parser.add_argument("--limit-s", type=float, default=780, help="nothing is repeated after this")
    parser.add_argument("--small", action="store_true", help="a few of each: only a look")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--markdown", type=Path, help="write a table for bench/RESULTS.md")
    arguments = parser.parse_args()
    # As installed: a process that starts again does not compile its modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    unknown = set(arguments.bar or ()) - set(BARS)
    if unknown:
        parser.error(f"there is no bar {', '.join(sorted(unknown))}; there are {', '.join(BARS)}")
    chosen = [BARS[name] for name in _order(arguments.bar or list(BARS))]
    deadline_s = time.monotonic() + arguments.limit_s
    results = []
    for bar in chosen:
        results.append(
            asyncio.run(measure(bar, arguments.seed, arguments.tries, deadline_s, arguments.small))
        )
        show(results[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps([_as_json(result) for result in results], indent=1))
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(_as_markdown(results)) + "\n")
    verdicts = [result.verdict for result in results]
    print(", ".join(f"{verdicts.count(kind)} {kind}" for kind in ("pass", "FAIL", "unfit")))
    return 1 if "FAIL" in verdicts else 3 if "unfit" in verdicts else 0


def _as_markdown(results: list[Result]) -> list[str]:
    """Return a table with a row for each bar."""
    rows = ["| bar | verdict | figures, each at most | runs, timer overshoot p99 / max |"]
    rows.append("|---|---|---|---|")
    for result in results:
        figures = "; ".join(
            f"{figure.name} {figure.value:.4g} of {figure.level:g} {figure.unit}".rstrip()
            for figure in result.figures
        )
        jitter = f"{result.tries}, {result.jitter.p99_ms:.1f} / {result.jitter.max_ms:.0f} ms"
        rows.append(f"| {result.bar} | {result.verdict} | {figures or 'broke'} | {jitter} |")
    return rows


def _order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (len(name), name))


def _as_json(result: Result) -> dict[str, object]:
    figures = [{**figure._asdict(), "holds": figure.holds} for figure in result.figures]
    return {
        **result._asdict(),
        "figures": figures,
        "jitter": result.jitter._asdict(),
        "verdict": result.verdict,
    }


if __name__ == "__main__":
    sys.exit(main())
