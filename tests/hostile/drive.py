"""Hundreds of damaged captures through all stages: each becomes a good tape, or is refused with a clear error.

Each runs in a process of its own with limits. Ends with 1 if one crashed, hung, failed otherwise or left files behind;
`--keep` keeps those, with what they said.

    python -m tests.hostile.drive --inputs 240 --seed 1
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]

from tests.hostile.all_stages import restore  # noqa: E402  found beside this file
from tests.hostile.sandbox import Limits, Outcome, run_all, summary  # noqa: E402
from tests.support.media.damage import Damaged, inputs, whole_files  # noqa: E402

SAMPLES = ROOT.parent / "shared" / "samples"
# The small ones, where there are any: whole recordings of other makers.
LARGEST_SAMPLE_BYTES = 40_000
MEDIA = {".mp4", ".mkv", ".webm"}


def main() -> int:
    """Try them all and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=240)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0, help="begin with the input of this number")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="a folder for inputs that are at fault")
    parser.add_argument("--all", action="store_true", help="tell what became of every input")
    asked = parser.parse_args()
    _tell(f"seed {asked.seed}")
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="tapemill-hostile-") as scratch:
        folder = Path(scratch)
        files = whole_files(folder) | small_samples()
        chosen = list(inputs(files, count=asked.first + asked.inputs, seed=asked.seed))[asked.first :]
        for name, outcome in run_all(_jobs(chosen, folder), Limits(), asked.at_once):
            outcomes[name] = outcome
            if outcome.is_fault:
                _tell(f"FAULT {name}: {outcome.error} {outcome.told}\n  left behind: {outcome.left}")
                if asked.keep:
                    _keep(next(folder.glob(f"work/{name[:4]}")), asked.keep)
            elif asked.all:
                _tell(f"{name}: {outcome.told.partition(chr(10))[0] or 'good'}")
            shutil.rmtree(folder / "work" / name[:4])
    _tell(summary(outcomes))
    return int(any(outcome.is_fault for outcome in outcomes.values()))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def small_samples() -> dict[str, bytes]:
    """Recordings of others."""
    paths = SAMPLES.glob("*") if SAMPLES.is_dir() else ()
    small = [path for path in paths if path.suffix in MEDIA and path.stat().st_size <= LARGEST_SAMPLE_BYTES]
    return {path.name: path.read_bytes() for path in small}


def _jobs(chosen: list[Damaged], folder: Path) -> Iterator[tuple[str, Path, Callable[[Path], None]]]:
    for number, damaged in enumerate(chosen):
        work = folder / "work" / damaged.name[:4]
        work.mkdir(parents=True)
        (work / damaged.name).write_bytes(damaged.data)
        yield f"{damaged.name} ({damaged.how})", work, partial(_restore, damaged.name, number)


def _restore(name: str, number: int, work: Path) -> None:
    (work / "made").mkdir()
    restore(work / name, work / "made", preset=("none", "fast")[number % 2])


def _keep(work: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(work, folder / work.name, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
