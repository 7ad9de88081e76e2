"""Faults at every call that writes, syncs, renames or unlinks a file of a small tape's run, each in a run of its own.

Then the same command again: the tape must come out byte for byte. Ends with 1 if one point failed. The output names
each point so that it can be repeated:

    python -m tests.injection.drive --points 200 --seed 1
    python -m tests.injection.drive --repeat 'nothing job fsync tapemill/storage/atomic.py:sync results/T 3 EIO'
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.injection.points import FAULTS, KINDS, Point, choose
from tests.injection.starts import NOTHING, Prepared, prepare
from tests.injection.trial import Outcome, attempt


def main() -> int:
    """Try the points asked for and print what became of them."""
    asked = _parser().parse_args()
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    with ExitStack() as stack:
        if asked.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tapemill-injection-")))
        else:
            folder = asked.folder.resolve()
            folder.mkdir(parents=True, exist_ok=True)
        started_s = time.monotonic()
        prepared = prepare(folder)
        points = [Point.parse(text) for text in asked.repeat] or _chosen(prepared, asked, seed)
        _print(f"seed {seed}, {_sizes(prepared)}, prepared in {time.monotonic() - started_s:.0f} s")
        if asked.list:
            _print("\n".join(map(str, points)))
            return 0
        outcomes = _try_all(prepared, points, asked.at_once, started_s + asked.minutes * 60)
    _print(summary(outcomes))
    return int(any(outcome.troubles for outcome in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, help="try this many, those that cover most sites first; all without it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no more points after this time")
    parser.add_argument("--seed", type=int, help="which points come first")
    parser.add_argument("--site", type=re.compile, default=re.compile(""), help="only points in which this is found")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--repeat", nargs="+", default=[], metavar="POINT", help="try these, as the output names them")
    parser.add_argument("--list", action="store_true", help="print the points and try none")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="keep the prepared projects here, for the next time")
    return parser


def _chosen(prepared: Prepared, asked: argparse.Namespace, seed: int) -> list[Point]:
    points = choose(prepared.recordings, faults=asked.faults, seed=seed)
    found = [point for point in points if point.site.kind in asked.kinds and asked.site.search(str(point))]
    return found[: asked.points]


def _sizes(prepared: Prepared) -> str:
    sites = set().union(*prepared.recordings.values())
    kinds = Counter(site.kind for site in sites)
    calls = prepared.recordings[NOTHING].total()
    return f"{calls} calls of {len(sites)} sites ({', '.join(f'{kind} {kinds[kind]}' for kind in KINDS)})"


def _try_all(prepared: Prepared, points: Sequence[Point], at_once: int, end_s: float) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(at_once) as pool:
        tries = [pool.submit(partial(_try_in_time, prepared, point, end_s)) for point in points]
        for done in as_completed(tries):
            outcome = done.result()
            if outcome is None:
                continue
            outcomes.append(outcome)
            mark = f"{len(outcomes)}/{len(points)} {outcome.verdict} ({outcome.length_s:.0f} s)"
            _print(f"{mark}: {outcome.point}\n" + "".join(f"    {trouble}\n" for trouble in outcome.troubles), end="")
    return outcomes


def _try_in_time(prepared: Prepared, point: Point, end_s: float) -> Outcome | None:
    return attempt(prepared, point) if time.monotonic() < end_s else None


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count points by verdict, and name those that failed."""
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    codes = Counter(outcome.exit_code for outcome in outcomes if outcome.is_reached)
    sites = {outcome.point.site for outcome in outcomes if outcome.is_reached}
    lines = [
        f"{len(outcomes)} points of {len(sites)} sites: {verdicts['passed']} passed, {verdicts['failed']} failed,"
        f" {verdicts['not reached']} not reached",
        "exit codes of the runs with the fault: " + ", ".join(f"{code}: {n}" for code, n in sorted(codes.items())),
    ]
    lines += [f"FAILED '{outcome.point}'" for outcome in outcomes if outcome.troubles]
    return "\n".join(lines)


def _print(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
