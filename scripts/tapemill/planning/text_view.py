"""Plan as text: a table for each tape, then the totals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import IO, TYPE_CHECKING, Final

from tapemill.storage.disk_space import format_size

from .plan import DiskUsage, Plan, StagePlan, TapePlan
from .simulation import CORES

if TYPE_CHECKING:
    from rich.table import Table

MIN_WIDTH: Final = 80
ALMOST_ALL: Final = 0.995


def print_plan(plan: Plan, now: datetime, stream: IO[str] | None = None) -> None:
    """Print a plan, 80 columns or wider."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream or sys.stdout, highlight=False)
    console.width = max(MIN_WIDTH, console.width)
    for tape in plan.tapes:
        if not tape.tape and not tape.ends_s:
            continue
        console.print(_table(tape, has_lanes=len(plan.busy_s) > 1 or CORES not in plan.busy_s))
    for line in format_totals(plan, now):
        console.print(Text(line))


def _table(tape: TapePlan, *, has_lanes: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(_title(tape)), title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    table.add_column("stage")
    heads = ["to do", "to come", "done", *(["on lanes"] if has_lanes else []), "on cores"]
    for head in heads:
        table.add_column(head, justify="right")
    table.add_column("times")
    for stage in tape.stages:
        times = [*([_format_work(stage.card_s)] if has_lanes else []), _format_work(stage.core_s)]
        counts = [str(stage.to_do or "-"), f"~{stage.to_come}" if stage.to_come else "-", str(stage.done or "-")]
        table.add_row(stage.stage, *counts, *times, _stage_basis(stage))
    return table


def _title(tape: TapePlan) -> str:
    if not tape.tape:
        return "Without a tape"
    name = tape.tape if tape.title == tape.tape else f"{tape.tape}, {tape.title}"
    length = f"{'' if tape.is_length_known else 'about '}{format_duration(tape.video_s)}"
    scenes = f"{'' if tape.are_scenes_known else 'about '}{tape.scenes} scene{'' if tape.scenes == 1 else 's'}"
    return f"{name}: {length}, {scenes}"


def _stage_basis(stage: StagePlan) -> str:
    if not stage.to_do and not stage.to_come:
        return ""
    if stage.measured_share > ALMOST_ALL:
        return "measured here"
    return "partly built-in" if stage.measured_share else "built-in"


def _format_work(seconds: float) -> str:
    return format_duration(seconds) if seconds else "-"


def format_totals(plan: Plan, now: datetime) -> Iterator[str]:
    """Format the totals of a plan."""
    if plan.is_empty:
        yield "Nothing to do."
    else:
        yield from _format_time(plan, now)
    for space in plan.spaces:
        yield _format_disk(space, is_empty=plan.is_empty)
    if plan.energy is not None and not plan.is_empty:
        price = "" if plan.energy.price is None else f", price {plan.energy.price:.2f}"
        yield f"Energy: {plan.energy.kwh:.2f} kWh{price}"
    if not plan.is_empty:
        yield format_basis(plan)


def _format_time(plan: Plan, now: datetime) -> Iterator[str]:
    to_do = sum(stage.to_do for tape in plan.tapes for stage in tape.stages)
    to_come = sum(stage.to_come for tape in plan.tapes for stage in tape.stages)
    later = f", and about {to_come} to come when the scenes are found" if to_come else ""
    yield f"Jobs to do: {to_do}{later}"
    lanes = [name for name in plan.busy_s if name != CORES]
    where = f"{len(lanes)} lane{'' if len(lanes) == 1 else 's'} and " if lanes else ""
    cores = f"{plan.cores} core{'' if plan.cores == 1 else 's'}"
    finish = plan.finish(now)
    day = "" if finish.date() == now.date() else f"{finish:%A, %d %B %Y}, "
    yield f"Time: {format_duration(plan.total_s)} on {where}{cores}; started now, finished {day}{finish:%H:%M}"
    ends = [f"{tape.tape} {format_duration(tape.ends_s)}" for tape in plan.tapes if tape.tape and tape.ends_s]
    if len(ends) > 1:
        yield f"Tapes finished after: {', '.join(ends)}"
    if lanes:
        yield f"Lanes at work: {', '.join(f'{lane} {format_duration(plan.busy_s[lane])}' for lane in lanes)}"


def _format_disk(space: DiskUsage, *, is_empty: bool) -> str:
    taken = f"Disk of {space.folder}: {format_size(space.used_bytes)} taken now"
    if is_empty:
        return f"{taken}; {format_size(space.free_bytes)} free"
    least = "at least " if space.is_guess else ""
    peak, after = format_size(space.peak_bytes), format_size(space.after_bytes)
    return f"{taken}, {least}{peak} at the peak, {least}{after} after; {format_size(space.free_bytes)} free"


def format_basis(plan: Plan) -> str:
    """Describe the basis of the times: measurements or defaults."""
    if not plan.measured_jobs:
        return "Times are built-in figures, right within a factor of three: nothing was measured on this machine yet"
    share = f"{plan.measured_share:.0%} of the work"
    rest = "" if plan.measured_share > ALMOST_ALL else "; the rest are built-in figures, right within a factor of three"
    return f"Times of {share} are from {plan.measured_jobs} jobs of this machine (benchmarks/){rest}"


def format_duration(seconds: float) -> str:
    """Format a duration in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} days {minutes % 1440 / 60:.0f} h"
