"""Runs a small tape for real, strikes it at random moments and starts the very same command again.

After each blow that ends the run nothing of it is left, every file under a final name is what an undisturbed run makes,
and none that was finished is made again. At the end of a tape: those files, no others, and nothing to do.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.crash.kill import BLOWS, ONTO_PARTS, TOKEN, Strike, processes, strike
from tests.crash.reference_run import LANES, Undisturbed, is_cut, make_project, results, start
from tests.support.project import Project, digest

# How long after the start of a job the blow falls that is meant for it, at most.
AIMED_WITHIN_S = 2.0
# Both against hanging only. How long it took is reported; the aim, on a machine with nothing else to do, is 5 s.
GONE_WITHIN_S = 60.0
ENDS_WITHIN_S = 600.0


@dataclass
class Driver:
    """All rounds of one test: a round is a tape from nothing to its end."""

    folder: Path
    truth: Undisturbed
    random: Random
    kills: int
    """Blows still to fall."""
    blows: Mapping[str, int] = field(default_factory=lambda: BLOWS)
    struck: list[Strike] = field(default_factory=list)
    rounds: int = 0
    slowest_end_s: float = 0.0
    """From a blow to the end of the last process of its run."""

    def drive(self) -> None:
        # Moments drawn from the clock alone would hardly ever meet a short job: the first blow of a tape is aimed.
        aims = self.random.sample(self.truth.rules, len(self.truth.rules))
        while self.kills:
            self.rounds += 1
            aim = aims[self.rounds % len(aims)]
            self._round(make_project(self.folder / f"round{self.rounds}"), aim)
            shutil.rmtree(self.folder / f"round{self.rounds}")

    def report(self) -> str:
        blows = Counter(each.blow for each in self.struck)
        rules = Counter(rule for each in self.struck for rule in each.rules or ["(no job)"])
        told = [f"{len(self.struck)} blows in {self.rounds} tapes"]
        told += [
            f"{self.truth.length_s:.0f} s undisturbed; all processes gone after at most {self.slowest_end_s:.1f} s"
        ]
        told += [" · ".join(f"{what} {count}" for what, count in found.most_common()) for found in (blows, rules)]
        return "\n".join(told)

    def _round(self, project: Project, aim: str | None) -> None:
        done: dict[str, int] = {}
        while True:
            exit_code, disturbed, output = self._start(project, aim)
            aim = None
            self._check_whole(project)
            # What was finished and recorded at an earlier blow is still the same file: it was not made again.
            now = _inodes(project)
            again = [name for name, inode in done.items() if now.get(name) != inode]
            assert not again, f"made again although it was finished: {again}"
            done |= _recorded(project)
            if exit_code == 0:
                break
            assert disturbed, f"failed without a blow:\n{output}"
        found = {name: digest(path) for name, path in results(project).items()}
        assert found == self.truth.kept, f"different: {sorted(found.items() ^ self.truth.kept.items())}\n{output}"
        assert not project.half_made()
        plan = project.run("all", "-n", *LANES)
        assert "Nothing to be done" in plan.output, plan.output

    def _start(self, project: Project, aim: str | None) -> tuple[int, bool, str]:
        """One run of the command, to its end: exit code, whether it was struck, what it said."""
        token, said = uuid.uuid4().hex, project.path("said")
        main = start(project, said, {TOKEN: token}, *LANES)
        disturbed = self._strike_until_it_ends(main, token, aim)
        struck = time.monotonic()
        while left := processes(token):
            assert time.monotonic() - struck < GONE_WITHIN_S, f"outlives its run: {left}"
            time.sleep(0.02)
        if disturbed:
            self.slowest_end_s = max(self.slowest_end_s, time.monotonic() - struck)
        return main.returncode, disturbed, said.read_text(errors="replace")

    def _strike_until_it_ends(self, main: subprocess.Popen, token: str, aim: str | None) -> bool:
        """Whether a blow fell. The first comes soon after a job of the rule `aim` appears, all others at any time."""
        disturbed = False
        while self.kills:
            while aim and main.poll() is None and aim not in {process.rule for process in processes(token)}:
                time.sleep(0.02)
            try:
                main.wait(self.random.uniform(0, AIMED_WITHIN_S if aim else self.truth.length_s))
                return disturbed
            except subprocess.TimeoutExpired:
                self.struck.append(strike(token, main.pid, self.random, self.blows))
            self.kills -= 1
            disturbed, aim = True, None
            if self.struck[-1].blow not in ONTO_PARTS:
                break
        main.wait(ENDS_WITHIN_S)
        return disturbed

    def _check_whole(self, project: Project) -> None:
        for name, path in results(project).items():
            assert name in self.truth.digests, f"{name} is no file of this tape"
            assert digest(path) == self.truth.digests[name], f"{name} is not what an undisturbed run makes"


def _inodes(project: Project) -> dict[str, int]:
    return {name: path.stat().st_ino for name, path in results(project).items()}


def _recorded(project: Project) -> dict[str, int]:
    """Finished files, without those of jobs that Snakemake holds for running: one marker speaks for all of a job."""
    marks = [urlsafe_b64decode(path.name).decode() for path in project.path(".snakemake/incomplete").glob("*")]
    running = {_job(name) for name in marks}
    return {name: inode for name, inode in _inodes(project).items() if not is_cut(name) and _job(name) not in running}


def _job(name: str) -> str:
    """What the outputs of one job have in common, and seldom those of two."""
    return name.partition(".")[0]
