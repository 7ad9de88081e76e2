"""State of a run as tables for a terminal of 80 columns or more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.events.attempts import Attempt
from tapemill.events.eta import Eta, StageRate, estimate_eta
from tapemill.events.run_outcome import REPLACED_TEXT, RunOutcome
from tapemill.events.run_state import JobCounts, RunState

MIB = 1 << 20
# Rows of tapes, and of failed jobs: more would push the lanes off the screen.
MAX_ROWS = 12
UNKNOWN = "unknown"


def render_run(run: RunState, *, most_lines: int | None = None, now: datetime | None = None) -> RenderableType:
    """Render the state of a run at this moment, in at most `most_lines`."""
    now = now or datetime.now(UTC)
    counts = run.counts()
    eta = estimate_eta(run, now)
    parts: list[RenderableType] = [*_header(run, counts, eta, now), ""]
    parts.append(_stage_table(counts, eta, is_over=run.is_over))
    most_rows = MAX_ROWS if most_lines is None else max(2, min(MAX_ROWS, (most_lines - 16) // 4))
    if len([tape for tape in eta.tapes if tape]) > 1:
        parts += ["", _tape_table(counts, eta, most_rows, is_over=run.is_over)]
    lanes = _lane_table(run, now, most_rows)
    if lanes.row_count and not run.is_over:
        parts += ["", lanes]
    troubles = list(_problem_lines(run.outcome(), most_rows))
    if troubles:
        parts += ["", *troubles]
    return Group(*parts)


def _header(run: RunState, counts: Mapping[tuple[str, str], JobCounts], eta: Eta, now: datetime) -> Iterator[Text]:
    total = sum(counts.values(), JobCounts())
    started = run.started.time if run.started else run.last_event_at or now
    last_event_at = run.last_event_at or started
    yield Text.assemble(("run ", "dim"), (run.name, "bold"))
    done = f"{total.done} of {total.planned} jobs done"
    if run.state == "ended" and run.ended is not None:
        is_ok = bool(run.ended.facts.get("is_ok"))
        how = "all requested files exist" if is_ok else "some requested files do not exist"
        yield Text(
            f"ended {_format_time(last_event_at, now)}, after {format_duration(last_event_at - started)}; {done}"
        )
        yield Text(how, style="green" if is_ok else "red")
    elif run.state == "broken off" and run.broken_off is not None:
        reason = str(run.broken_off.facts.get("reason") or "without a message")
        yield Text(
            f"broken off {_format_time(last_event_at, now)}, after {format_duration(last_event_at - started)}; {done}"
        )
        yield Text(f"an error of Snakemake ended the run: {' '.join(reason.split())}", style="red")
        yield Text("start the same command again to continue", style="red")
    elif run.state == "killed":
        yield Text(f"killed; last event {_format_time(last_event_at, now)}; {done}")
        yield Text("its main process is gone; start the same command again to continue", style="red")
    else:
        yield Text(f"running for {format_duration(now - started)}; {done}")
        if run.state == "elsewhere":
            yield Text(
                f"it cannot be seen from here whether it still runs; last event {_format_time(last_event_at, now)}"
            )
        yield Text(_format_eta(eta, now))


def _format_eta(eta: Eta, now: datetime) -> str:
    if eta.tapes_without_plan:
        names = _shorten([tape for tape in eta.tapes_without_plan if tape] or ["a tape"])
        return f"time left: {UNKNOWN} until the jobs of {names} are planned"
    if eta.left_s is None:
        return f"time left: {UNKNOWN}, nothing is measured yet"
    if eta.rules_without_speed and eta.left_s < 1:
        return f"time left: {UNKNOWN}, no {' or '.join(eta.rules_without_speed[:3])} is done yet"
    if eta.rules_without_speed:
        return f"time left: more than {format_duration(eta.left_s)}; {UNKNOWN} for {_shorten(eta.rules_without_speed)}"
    end = now + timedelta(seconds=eta.left_s)
    return f"time left: about {format_duration(eta.left_s)}, until {_format_time(end, now)}"


def _stage_table(counts: Mapping[tuple[str, str], JobCounts], eta: Eta, *, is_over: bool) -> Table:
    table = _table("stage", "done", "running", "to do", "failed", "frames/s", "left")
    by_stage: dict[str, JobCounts] = defaultdict(JobCounts)
    for (_, rule), count in counts.items():
        by_stage[stage_of(rule)] += count
    for stage in (*STAGES, OTHER):
        if stage in by_stage:
            count, rate = by_stage[stage], eta.stages.get(stage, StageRate(None, None))
            speed = "" if rate.frames_per_s is None else f"{rate.frames_per_s:.1f}"
            left = "" if is_over else _left_cell(rate.left_s, count)
            table.add_row(stage, *_count_cells(count), speed, left)
    return table


def _tape_table(counts: Mapping[tuple[str, str], JobCounts], eta: Eta, most_rows: int, *, is_over: bool) -> Table:
    """Table with a row for each tape: tapes at work first, then waiting ones, then finished ones."""
    by_tape: dict[str, dict[str, JobCounts]] = defaultdict(lambda: defaultdict(JobCounts))
    for (tape, rule), count in counts.items():
        by_tape[tape][stage_of(rule)] += count
    by_tape.pop("", None)
    wholes = {tape: sum(stages.values(), JobCounts()) for tape, stages in by_tape.items()}
    order = sorted(wholes, key=lambda tape: (not wholes[tape].running, not wholes[tape].to_do, tape))
    table = _table("tape", *STAGES, "failed", "left")
    for tape in order[:most_rows]:
        cells = [_done_cell(by_tape[tape].get(stage)) for stage in STAGES]
        left = "" if is_over else _left_cell(eta.tapes.get(tape), wholes[tape])
        table.add_row(Text(tape), *cells, _failed_cell(wholes[tape].failed), left)
    if len(order) > most_rows:
        rest = sum((wholes[tape] for tape in order[most_rows:]), JobCounts())
        table.add_row(Text(f"{len(order) - most_rows} more"), f"{rest.done}/{rest.planned}", style="dim")
    return table


def _lane_table(run: RunState, now: datetime, most_rows: int) -> Table:
    """Table of running jobs: a row for each lane, then one for each job without a GPU."""
    table = _table("lane", "job", "for", "done", "frames/s", "left", "peak MiB")
    table.columns[1].justify = "left"
    table.columns[1].ratio = 1
    at_work = [attempt for attempt in run.history.latest if attempt.outcome == "running"]
    by_lane: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(at_work, key=lambda attempt: attempt.is_waiting):
        by_lane[str(attempt.facts.get("lane") or attempt.facts.get("waits_for", ""))].append(attempt)
    names = [str(lane["name"]) for lane in run.lanes]
    for name in [*names, *sorted(by_lane.keys() - {*names, ""})]:
        peak = _peak_cell(run.history.attempts, name)
        for place, attempt in enumerate(by_lane.get(name, ())):
            table.add_row(
                *(
                    (name, *_attempt_cells(attempt, now), peak)
                    if place == 0
                    else ("", *_attempt_cells(attempt, now), "")
                )
            )
        if name not in by_lane:
            table.add_row(name, Text("idle", style="dim"), "", "", "", "", peak)
    others = by_lane.get("", [])
    for attempt in others[:most_rows]:
        table.add_row("", *_attempt_cells(attempt, now), "")
    if len(others) > most_rows:
        table.add_row("", f"and {len(others) - most_rows} more", "", "", "", "", "", style="dim")
    return table


def _attempt_cells(attempt: Attempt, now: datetime) -> tuple[RenderableType, ...]:
    facts = attempt.facts
    again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
    step = ": waits" if attempt.is_waiting else f": {facts['step']}" if "step" in facts else ""
    job = Text(" ".join(filter(None, attempt.names)) + step + again)
    elapsed = format_duration(now - attempt.work_started_at)
    if "total_frames" not in facts:
        return job, elapsed, "", "", ""
    share = f"{100 * int(facts['frames']) // max(1, int(facts['total_frames']))} %"
    if "frames_per_s" not in facts:
        return job, elapsed, share, "", ""
    left_s = max(0.0, float(facts["remaining_s"]) - (now - facts["last_event_at"]).total_seconds())
    return (
        job,
        format_duration(now - attempt.work_started_at),
        share,
        f"{float(facts['frames_per_s']):.1f}",
        format_duration(left_s),
    )


def _problem_lines(facts: RunOutcome, most_rows: int) -> Iterator[Text]:
    if facts.stopped:
        yield Text(f"stopped: {facts.stopped.message.partition(chr(10))[0]}", style="red")
    for file in facts.missing[:most_rows]:
        yield Text(f"missing, although no job failed: {file}", style="red")
    for job in facts.failed[:most_rows]:
        yield Text(f"failed: {' '.join(filter(None, (job.rule, job.tape, job.scene)))}: {job.reason}", style="red")
        yield Text(f"  log: {job.log}", style="dim")
    for scene in facts.replaced[:most_rows]:
        yield Text(
            f"{scene.kind}: {scene.tape} {scene.scene}: {REPLACED_TEXT[scene.kind]} ({scene.reason})", style="yellow"
        )
        yield Text(f"  log: {scene.log}", style="dim")
    more = sum(max(0, len(reported) - most_rows) for reported in (facts.missing, facts.failed, facts.replaced))
    if more:
        yield Text(f"and {more} more", style="dim")
    counts = {
        "tried again, then done": facts.tried_again,
        "downgraded for lack of memory": facts.lowered,
        "interrupted": facts.interrupted,
        "not started": facts.not_started,
    }
    words = [f"{number} {what}" for what, number in counts.items() if number]
    if words:
        yield Text(f"jobs: {', '.join(words)}")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=False)
    table.add_column(first, overflow="ellipsis", no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis")
    return table


def _count_cells(count: JobCounts) -> tuple[RenderableType, ...]:
    return str(count.done), str(count.running or ""), str(count.to_do or ""), _failed_cell(count.failed)


def _failed_cell(number: int) -> Text:
    return Text(str(number or ""), style="red")


def _done_cell(count: JobCounts | None) -> Text:
    """Cell with the numbers of done and planned jobs."""
    if count is None:
        return Text("")
    style = "bold" if count.running else "green" if count.done == count.planned else ""
    return Text(f"{count.done}/{count.planned}", style=style)


def _left_cell(seconds: float | None, count: JobCounts) -> str:
    if not (count.running or count.to_do):
        return ""
    return UNKNOWN if seconds is None else format_duration(seconds)


def _peak_cell(attempts: Iterable[Attempt], lane: str) -> str:
    reported = [attempt.facts for attempt in attempts if attempt.facts.get("lane") == lane]
    peaks = [int(facts["peak_memory_bytes"]) for facts in reported if "peak_memory_bytes" in facts]
    return f"{max(peaks) / MIB:.0f}" if peaks else ""


def _shorten(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def format_duration(time: timedelta | float) -> str:
    """Format a duration as hours, minutes and seconds: 1:02:03 or 2:03."""
    seconds = max(0, round(time.total_seconds() if isinstance(time, timedelta) else time))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _format_time(when: datetime, now: datetime) -> str:
    """Format a time of day in the local time zone, with the date if it is not today."""
    local, today = when.astimezone(), now.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%F %H:%M}"
