"""Trial of a point: the command with the fault, then the same command again, and what must be true after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tests.injection.command import Ended, kept_results, run
from tests.injection.layer import Injection
from tests.injection.points import Point
from tests.injection.starts import Prepared
from tests.support.project import Project

TAIL_CHARACTERS = 3000


@dataclass(frozen=True)
class Outcome:
    """What became of a point."""

    point: Point
    is_reached: bool
    path: str
    """File of the call that failed."""
    exit_code: int
    """Of the run with the fault."""
    troubles: tuple[str, ...]
    """What is wrong; empty if the point passed."""
    length_s: float

    @property
    def verdict(self) -> str:
        """`passed`, `failed`, or `not reached` if the call did not occur and all is well."""
        if self.troubles:
            return "failed"
        return "passed" if self.is_reached else "not reached"


def attempt(prepared: Prepared, point: Point) -> Outcome:
    """Try a point. If the run has fewer calls of the site than the recorded one had, try its last one instead."""
    outcome, calls = _attempt(prepared, point)
    if outcome.verdict == "not reached" and calls:
        outcome, _ = _attempt(prepared, point._replace(number=calls))
        outcome = replace(outcome, point=point)
    return outcome


def _attempt(prepared: Prepared, point: Point) -> tuple[Outcome, int]:
    with prepared.project(point.start) as project:
        injection = Injection(prepared.library, project.folder, point)
        first = run(project, injection.environment, injection)
        state = injection.state()
        troubles = list(_after_fault(first, project, prepared.truth))
        second = run(project, {})
        troubles += _after_repeat(second, project, prepared.truth)
    length_s = first.length_s + second.length_s
    return Outcome(point, state.is_hit, state.path, first.exit_code, tuple(troubles), length_s), state.calls


def _after_fault(ended: Ended, project: Project, truth: Mapping[str, str]) -> Iterator[str]:
    """What is wrong after the run with the fault: success without the results, or a result that is not right."""
    found = kept_results(project)
    if ended.trouble:
        yield f"with the fault: {ended.trouble}\n{ended.output[-TAIL_CHARACTERS:]}"
    if ended.exit_code == 0 and found.keys() != truth.keys():
        yield f"reports success with missing or unknown results: {sorted(found.keys() ^ truth.keys())}"
    if wrong := [name for name in found if found[name] != truth.get(name)]:
        yield f"after the fault (exit code {ended.exit_code}) not what an undisturbed run makes: {sorted(wrong)}"


def _after_repeat(ended: Ended, project: Project, truth: Mapping[str, str]) -> Iterator[str]:
    """What is wrong after the same command without a fault."""
    if ended.trouble or ended.exit_code:
        yield f"the same command again: exit code {ended.exit_code} {ended.trouble}\n{ended.output[-TAIL_CHARACTERS:]}"
    found = kept_results(project)
    if different := sorted({name for name, _ in found.items() ^ truth.items()}):
        yield f"the same command again: other results: {different}"
    if left := project.half_made():
        yield f"left behind: {sorted(str(path.relative_to(project.folder)) for path in left)}"
