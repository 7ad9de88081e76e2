"""The course of a run as tables for a terminal of 80 columns or more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.events.attempts import Attempt
from tapemill.events.eta import Forecast, Pace, forecast
from tapemill.events.run_outcome import REPLACED, RunFacts
from tapemill.events.run_state import Count, RunState

MIB = 1 << 20
# Of tapes, and of jobs that failed: more would push the lanes off the screen.
MOST_ROWS = 12
UNKNOWN = "unknown"


def view(course: RunState, *, most_lines: int | None = None, now: datetime | None = None) -> RenderableType:
    """All there is to see of a run at this moment, in no more than `most_lines`."""
    now = now or datetime.now(UTC)
    counts = course.counts()
    ahead = forecast(course, now)
    parts: list[RenderableType] = [*_head(course, counts, ahead, now), ""]
    parts.append(_stages(counts, ahead, is_over=course.is_over))
    most_rows = MOST_ROWS if most_lines is None else max(2, min(MOST_ROWS, (most_lines - 16) // 4))
    if len([tape for tape in ahead.tapes if tape]) > 1:
        parts += ["", _tapes(counts, ahead, most_rows, is_over=course.is_over)]
    lanes = _lanes(course, now, most_rows)
    if lanes.row_count and not course.is_over:
        parts += ["", lanes]
    troubles = list(_troubles(course.facts(), most_rows))
    if troubles:
        parts += ["", *troubles]
    return Group(*parts)


def _head(course: RunState, counts: Mapping[tuple[str, str], Count], ahead: Forecast, now: datetime) -> Iterator[Text]:
    whole = sum(counts.values(), Count())
    started = course.started.time if course.started else course.last_event_at or now
    heard = course.last_event_at or started
    yield Text.assemble(("run ", "dim"), (course.run, "bold"))
    done = f"{whole.done} of {whole.planned} jobs done"
    if course.state == "ended" and course.ended is not None:
        is_ok = bool(course.ended.facts.get("is_ok"))
        how = "all that was asked for is there" if is_ok else "not all that was asked for is there"
        yield Text(f"ended {_clock(heard, now)}, after {span(heard - started)}; {done}")
        yield Text(how, style="green" if is_ok else "red")
    elif course.state == "broken off" and course.broken_off is not None:
        said = str(course.broken_off.facts.get("reason") or "without a word")
        yield Text(f"broken off {_clock(heard, now)}, after {span(heard - started)}; {done}")
        yield Text(f"Snakemake itself stumbled: {' '.join(said.split())}", style="red")
        yield Text("the same command goes on where it was", style="red")
    elif course.state == "killed":
        yield Text(f"killed, last heard of {_clock(heard, now)}; {done}")
        yield Text("its main process is gone; the same command goes on where it was", style="red")
    else:
        yield Text(f"running for {span(now - started)}; {done}")
        if course.state == "elsewhere":
            yield Text(f"whether it still runs cannot be seen from here; last heard of {_clock(heard, now)}")
        yield Text(_expected(ahead, now))


def _expected(ahead: Forecast, now: datetime) -> str:
    if ahead.undivided:
        names = _some([tape for tape in ahead.undivided if tape] or ["a tape"])
        return f"time left: {UNKNOWN}, until it is known what there is to do of {names}"
    if ahead.left_s is None:
        return f"time left: {UNKNOWN}, nothing is measured yet"
    if ahead.unmeasured and ahead.left_s < 1:
        return f"time left: {UNKNOWN}, no {' or '.join(ahead.unmeasured[:3])} is done yet"
    if ahead.unmeasured:
        return f"time left: more than {span(ahead.left_s)}; {UNKNOWN} for {_some(ahead.unmeasured)}"
    end = now + timedelta(seconds=ahead.left_s)
    return f"time left: about {span(ahead.left_s)}, until {_clock(end, now)}"


def _stages(counts: Mapping[tuple[str, str], Count], ahead: Forecast, *, is_over: bool) -> Table:
    table = _table("stage", "done", "running", "to do", "failed", "frames/s", "left")
    by_stage: dict[str, Count] = defaultdict(Count)
    for (_, rule), count in counts.items():
        by_stage[stage_of(rule)] += count
    for stage in (*STAGES, OTHER):
        if stage in by_stage:
            count, pace = by_stage[stage], ahead.stages.get(stage, Pace(None, None))
            speed = "" if pace.frames_per_s is None else f"{pace.frames_per_s:.1f}"
            left = "" if is_over else _left(pace.left_s, count)
            table.add_row(stage, *_numbers(count), speed, left)
    return table


def _tapes(counts: Mapping[tuple[str, str], Count], ahead: Forecast, most_rows: int, *, is_over: bool) -> Table:
    """A line for each tape: those at work first, then those to come, then those that are done."""
    by_tape: dict[str, dict[str, Count]] = defaultdict(lambda: defaultdict(Count))
    for (tape, rule), count in counts.items():
        by_tape[tape][stage_of(rule)] += count
    by_tape.pop("", None)
    wholes = {tape: sum(stages.values(), Count()) for tape, stages in by_tape.items()}
    order = sorted(wholes, key=lambda tape: (not wholes[tape].running, not wholes[tape].to_do, tape))
    table = _table("tape", *STAGES, "failed", "left")
    for tape in order[:most_rows]:
        cells = [_share(by_tape[tape].get(stage)) for stage in STAGES]
        left = "" if is_over else _left(ahead.tapes.get(tape), wholes[tape])
        table.add_row(Text(tape), *cells, _failed(wholes[tape].failed), left)
    if len(order) > most_rows:
        rest = sum((wholes[tape] for tape in order[most_rows:]), Count())
        table.add_row(Text(f"{len(order) - most_rows} more"), f"{rest.done}/{rest.planned}", style="dim")
    return table


def _lanes(course: RunState, now: datetime, most_rows: int) -> Table:
    """What runs where: a line for each lane, then one for each job without a GPU."""
    table = _table("lane", "job", "for", "done", "frames/s", "left", "peak MiB")
    table.columns[1].justify = "left"
    table.columns[1].ratio = 1
    at_work = [attempt for attempt in course.history.latest if attempt.outcome == "running"]
    by_lane: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(at_work, key=lambda attempt: attempt.waits):
        by_lane[str(attempt.facts.get("lane") or attempt.facts.get("waits_for", ""))].append(attempt)
    names = [str(lane["name"]) for lane in course.lanes]
    for name in [*names, *sorted(by_lane.keys() - {*names, ""})]:
        peak = _peak(course.history.attempts, name)
        for place, attempt in enumerate(by_lane.get(name, ())):
            table.add_row(*((name, *_doing(attempt, now), peak) if place == 0 else ("", *_doing(attempt, now), "")))
        if name not in by_lane:
            table.add_row(name, Text("idle", style="dim"), "", "", "", "", peak)
    others = by_lane.get("", [])
    for attempt in others[:most_rows]:
        table.add_row("", *_doing(attempt, now), "")
    if len(others) > most_rows:
        table.add_row("", f"and {len(others) - most_rows} more", "", "", "", "", "", style="dim")
    return table


def _doing(attempt: Attempt, now: datetime) -> tuple[RenderableType, ...]:
    facts = attempt.facts
    again = f" (attempt {attempt.number})" if attempt.number > 1 else ""
    step = ": waits" if attempt.waits else f": {facts['step']}" if "step" in facts else ""
    job = Text(" ".join(filter(None, attempt.names)) + step + again)
    if "total_frames" not in facts:
        return job, span(now - attempt.began), "", "", ""
    share = f"{100 * int(facts['frames']) // max(1, int(facts['total_frames']))} %"
    if "frames_per_s" not in facts:
        return job, span(now - attempt.began), share, "", ""
    left_s = max(0.0, float(facts["remaining_s"]) - (now - facts["heard"]).total_seconds())
    return job, span(now - attempt.began), share, f"{float(facts['frames_per_s']):.1f}", span(left_s)


def _troubles(facts: RunFacts, most_rows: int) -> Iterator[Text]:
    if facts.stopped:
        yield Text(f"stopped: {facts.stopped.message.partition(chr(10))[0]}", style="red")
    for file in facts.missing[:most_rows]:
        yield Text(f"not made, although no job failed: {file}", style="red")
    for job in facts.failed[:most_rows]:
        yield Text(f"failed: {' '.join(filter(None, (job.rule, job.tape, job.scene)))}: {job.reason}", style="red")
        yield Text(f"  log: {job.log}", style="dim")
    for scene in facts.replaced[:most_rows]:
        yield Text(f"{scene.kind}: {scene.tape} {scene.scene}: {REPLACED[scene.kind]} ({scene.reason})", style="yellow")
        yield Text(f"  log: {scene.log}", style="dim")
    more = sum(max(0, len(told) - most_rows) for told in (facts.missing, facts.failed, facts.replaced))
    if more:
        yield Text(f"and {more} more", style="dim")
    counts = {
        "tried again, then done": facts.tried_again,
        "done with less memory": facts.lowered,
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


def _numbers(count: Count) -> tuple[RenderableType, ...]:
    return str(count.done), str(count.running or ""), str(count.to_do or ""), _failed(count.failed)


def _failed(number: int) -> Text:
    return Text(str(number or ""), style="red")


def _share(count: Count | None) -> Text:
    """Done of planned."""
    if count is None:
        return Text("")
    style = "bold" if count.running else "green" if count.done == count.planned else ""
    return Text(f"{count.done}/{count.planned}", style=style)


def _left(seconds: float | None, count: Count) -> str:
    if not (count.running or count.to_do):
        return ""
    return UNKNOWN if seconds is None else span(seconds)


def _peak(attempts: Iterable[Attempt], lane: str) -> str:
    told = [attempt.facts for attempt in attempts if attempt.facts.get("lane") == lane]
    peaks = [int(facts["peak_memory_bytes"]) for facts in told if "peak_memory_bytes" in facts]
    return f"{max(peaks) / MIB:.0f}" if peaks else ""


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def span(time: timedelta | float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    seconds = max(0, round(time.total_seconds() if isinstance(time, timedelta) else time))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _clock(when: datetime, now: datetime) -> str:
    """Time of day here, with the date if it is another one."""
    local, today = when.astimezone(), now.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%F %H:%M}"
