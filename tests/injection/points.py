"""Call sites of a run, and the points at which a fault is injected: first, middle and last call of each site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

KINDS = ("write", "fsync", "rename", "unlink", "truncate", "create")
# `kill-run` is what a power cut or a closed container does: everything ends at this call, and the next start finds what
# is on disk. `kill-process` is what the kernel does that lacks memory: the run itself goes on.
FAULTS = ("ENOSPC", "EIO", "kill-run", "kill-process")

# What differs between two runs, and what only names the rule whose bookkeeping it is.
VARIABLE = re.compile(
    r"""(?P<encoded>(?<=^\.snakemake/)(?:metadata|incomplete|backups)/.*)
    | (?P<run>(?<=^events/)[^/]*(?=\.jsonl$)|(?<=^\.snakemake/log/)[^/]*(?=\.log$))
    | (?P<rule>(?:(?<=^benchmarks/)|(?<=^logs/)|(?<=/jobs/logs/))[^/]+)
    | (?P<script>\btmp[a-z0-9_]{8}\.\w+(?=\.py))
    | (?P<probe>(?<=\.tapemill-probe-)\w+)
    | (?P<hash>\b[0-9a-f]{12}\b)
    | (?P<number>(?<![A-Za-z0-9])[0-9]+)""",
    re.VERBOSE,
)


class Site(NamedTuple):
    """A place in the code that changes files of one kind."""

    role: str
    """`job`, `snakemake`, `worker`, or a program behind the role of its parent: `job>ffmpeg`."""
    kind: str
    place: str
    """Innermost function of Tapemill or Snakemake, `module:function`; `-` outside Python."""
    glob: str
    """Pattern of the file's path in the project."""


class Point(NamedTuple):
    """One call that fails in one run."""

    start: str
    """Rule at whose first job the run begins: what was made before is there already. `nothing`: a new project."""
    site: Site
    number: int
    """The how manieth call of the site, from 1."""
    fault: str

    def __str__(self) -> str:
        return " ".join(map(str, (self.start, *self.site, self.number, self.fault)))

    @classmethod
    def parse(cls, text: str) -> Point:
        """Read a point from its text."""
        start, role, kind, place, glob, number, fault = text.split()
        return cls(start, Site(role, kind, place, glob), int(number), fault)


def read_record(record: Path) -> Counter[Site]:
    """Calls of each site in a recorded run."""
    lines = (line.split("\t") for line in record.read_text(errors="surrogateescape").splitlines())
    return Counter(Site(role, kind, place, glob_of(path)) for role, kind, place, path in lines)


def glob_of(path: str) -> str:
    """Pattern that matches a path of one run in every run."""

    def replacement(found: re.Match[str]) -> str:
        if found["encoded"]:
            return found[0].partition("/")[0] + "/*"
        return "[0-9]*" if found["number"] else "*"

    return VARIABLE.sub(replacement, path)


def choose(recordings: Mapping[str, Counter[Site]], *, faults: Sequence[str], seed: int) -> list[Point]:
    """All points, those that cover most sites first.

    `recordings` are the sites of a run from each start, the shortest run first. A site is tried in the shortest run
    that calls it as often as three times, or as often as any.
    """
    random = Random(seed)
    by_site = []
    for site in sorted(set().union(*recordings.values())):
        wanted = min(3, max(calls[site] for calls in recordings.values()))
        start, count = next((start, calls[site]) for start, calls in recordings.items() if calls[site] >= wanted)
        of_site = [Point(start, site, number, fault) for number, fault in product(numbers(count), faults)]
        by_site.append(random.sample(of_site, len(of_site)))
    # Round after round one point of each site; files that cannot be made are the least telling.
    by_site.sort(key=lambda points: (points[0].site.kind == "create", random.random()))
    return list(_in_rounds(by_site))


def numbers(count: int) -> list[int]:
    """First, middle and last of `count` calls."""
    return sorted({1, (count + 1) // 2, count})


def _in_rounds(by_site: Sequence[Sequence[Point]]) -> Iterable[Point]:
    for turn in range(max(map(len, by_site), default=0)):
        yield from (points[turn] for points in by_site if turn < len(points))
