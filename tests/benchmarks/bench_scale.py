"""What an archive costs Snakemake's main process: 1, 10, 100 tapes of 700 scenes, in one plan and in the queue.

One tape is made as in bench_resume.py: capture, table and first scene by real jobs, the other scenes copies of it,
their records by Snakemake itself (`--touch`). The other tapes are hard links to its files and copies of its records
under other names. That they are what Snakemake would have written is checked: it finds nothing to do for them. All
figures are of the main process, from its start.

States: `finished` (all made, never judged), `settled` (judged before), `new` (captures alone), `half` (the second half
of each tape's scenes missing, as after a stop in all of them at once: the worst case, since tapes are worked on a few
at a time). `in one plan` sets the queue's limits so high that all tapes are in the first plan: what a workflow without
a queue does. It is left out for more than 20 tapes unless --all is given: minutes and gigabytes for each.

    python -m tests.benchmarks.bench_scale --tapes 1 10 100 --scenes 700
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from tests.benchmarks.bench_resume import Cost, Tapes, so_far, started
from tests.support.project import ROOT

TOTAL = re.compile(r"^\W*total\W+(\d+)", re.MULTILINE)
WAYS = {"queue": {}, "in one plan": {"queue": {"tapes": 1000, "scenes": 100_000}}}
"""Sections of the config."""


class Archive(Tapes):
    """A working folder with many tapes, made of one."""

    def grow(self, tapes: int) -> None:
        """Add tapes until there are so many."""
        one, records = self.project.path("results/T0"), self.project.path(".snakemake/metadata")
        of_first = [(name, path) for path in records.iterdir() if (name := decoded(path)).startswith("results/T0/")]
        for number in range(len(self.names), tapes):
            name = f"T{number}"
            for path in one.rglob("*"):
                target = self.project.path(str(renamed(str(path.relative_to(self.project.folder)), name)))
                if path.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, target)
            for output, path in of_first:
                key = urlsafe_b64encode(renamed(output, name).encode()).decode()
                text = path.read_text().replace("results/T0/", f"results/{name}/").replace("/T0.", f"/{name}.")
                (records / key).write_text(text.replace('"T0"', f'"{name}"').replace("'T0'", f"'{name}'"))
            self.names.append(name)
        self.write_sheet()

    def write_sheet(self) -> None:
        """All tapes, of the same capture."""
        self._sheet(self.names)

    def unsettle(self) -> None:
        """Have all tapes judged again."""
        shutil.rmtree(self.project.path(".snakemake/tapemill"), ignore_errors=True)


def renamed(path: str, tape: str) -> str:
    """Of the first tape's file, that of another one."""
    return path.replace("results/T0", f"results/{tape}", 1).replace("/T0.", f"/{tape}.")


def decoded(path: Path) -> str:
    return urlsafe_b64decode(path.name).decode(errors="replace")


def first_job(archive: Archive, *arguments: str, limit_s: float) -> tuple[Cost, int] | None:
    """Run until the first job has begun, then kill the run. None if that takes longer than `limit_s`."""
    shutil.rmtree(archive.project.path("logs"), ignore_errors=True)
    start = time.perf_counter()
    with started(archive, "all", *arguments) as run:
        while not any(archive.project.path("logs").rglob("*.log")):
            told = archive.project.path("terminal").read_text(errors="replace")
            assert run.poll() is None, told[-5000:]
            if time.perf_counter() - start > limit_s:
                run.kill()
                return None
            time.sleep(0.02)
        cost = so_far(run, start)
        run.kill()
        told = archive.project.path("terminal").read_text(errors="replace")
    wait_for_end(archive)
    return cost, int(total[1]) if (total := TOTAL.search(told)) else 0


def wait_for_end(archive: Archive) -> None:
    """Until no process works in the folder."""
    import psutil

    folder = str(archive.project.folder)
    while any(process.info["cwd"] == folder for process in psutil.process_iter(["cwd"])):
        time.sleep(0.1)


def whole_run(archive: Archive, *arguments: str) -> tuple[Cost, int]:
    """Run to the end."""
    start = time.perf_counter()
    with started(archive, *arguments) as run:
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    told = archive.project.path("terminal").read_text(errors="replace")
    assert run.returncode == 0, told[-5000:]
    cost = Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    return cost, int(total[1]) if (total := TOTAL.search(told)) else 0


def parse_s(archive: Archive) -> Cost:
    """What every job pays: reading the Snakefile, here in a run that lists its rules."""
    return whole_run(archive, "--list-rules")[0]


def tell(tapes: int, what: str, result: tuple[Cost, int] | None) -> None:
    """A line of the table."""
    if result is None:
        sys.stdout.write(f"{tapes:5} {what:44} given up\n")
    else:
        cost, jobs = result
        sys.stdout.write(
            f"{tapes:5} {what:44} {jobs or '-':>7} {cost.wall_s:9.1f} {cost.processor_s:11.1f} {cost.peak_mib:9.0f}\n"
        )
    sys.stdout.flush()


def measure(archive: Archive, tapes: int, *, in_one_plan: bool, limit_s: float) -> None:
    """All lines about so many tapes. The archive is finished before and useless after."""
    ways = WAYS if in_one_plan else {"queue": {}}
    tell(tapes, "parse (`--list-rules`)", (parse_s(archive), 0))
    for name, sections in ways.items():
        archive.project.configure(**sections)
        archive.unsettle()
        tell(tapes, f"finished, never judged: `all -n`, {name}", whole_run(archive, "all", "-n"))
        tell(tapes, f"finished, never judged: `all`, {name}", whole_run(archive, "all"))
    archive.project.configure()
    tell(tapes, "settled: `all`", whole_run(archive, "all"))
    srt = archive.project.path(f"results/{archive.names[-1]}/subtitles/{archive.ids[3]}.srt")
    text = srt.read_text()
    # A hard link to the other tapes' file: this one is to change alone.
    srt.unlink()
    srt.write_text(text + "\n")
    tell(tapes, "settled, one SRT corrected: `all -n`", whole_run(archive, "all", "-n"))
    ids = archive.ids
    archive.forget(ids[len(ids) // 2 :])
    for name, sections in ways.items():
        archive.project.configure(**sections)
        tell(tapes, f"half: `all` until the first job, {name}", first_job(archive, limit_s=limit_s))
    archive.project.configure()
    tell(tapes, "half: `all -n`, queue", whole_run(archive, "all", "-n"))
    shutil.rmtree(archive.project.path("results"))
    shutil.rmtree(archive.project.path(".snakemake/metadata"))
    for name, sections in ways.items():
        archive.project.configure(**sections)
        tell(tapes, f"new: `all` until the first job, {name}", first_job(archive, limit_s=limit_s))
        shutil.rmtree(archive.project.path("results"), ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tapes", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--scenes", type=int, default=700, help="of each tape")
    parser.add_argument("--folder", type=Path, help="keep the first tape here, and take it from here if it is there")
    parser.add_argument("--all", action="store_true", help="more than 20 tapes in one plan, too")
    parser.add_argument("--limit-s", type=float, default=1800, help="give a first job up after so long")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT / "scripts")
    with tempfile.TemporaryDirectory() as name:
        kept = (arguments.folder or Path(name)) / f"1x{arguments.scenes}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            Tapes.made(kept, arguments.scenes, 1)
        sys.stdout.write(f"{'tapes':5} {'':44} {'jobs':>7} {'wall s':>9} {'processor s':>11} {'peak MiB':>9}\n")
        for tapes in arguments.tapes:
            folder = Path(name) / f"{tapes}"
            shutil.copytree(kept, folder, symlinks=True)
            archive = Archive(folder, 1)
            archive.grow(tapes)
            assert json.loads((folder / ".snakemake/metadata" / key_of("results/T0/T0.mkv")).read_text())
            measure(archive, tapes, in_one_plan=tapes <= 20 or arguments.all, limit_s=arguments.limit_s)
            shutil.rmtree(folder)


def key_of(output: str) -> str:
    """Name of the record of an output."""
    return urlsafe_b64encode(output.encode()).decode()


if __name__ == "__main__":
    main()
