"""Charts as SVG, drawn by matplotlib: the same bytes for the same values, no foreign text but names of GPUs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from .page import readable
from .runs import WITHOUT_LANE, RunView, TimelineRow
from .subtitle_confidence import DOUBTFUL, ReviewedCue
from .tape_history import StageWork

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of M. Okabe and K. Ito (Color Universal Design), for colour-blind people too.
COLOURS: Final = {
    "enhance": "#0072B2",
    "subtitles": "#E69F00",
    "scenes": "#009E73",
    "audio": "#CC79A7",
    "capture": "#56B4E9",
    "tape": "#D55E00",
    "other": "#999999",
}
BEFORE, AFTER, BAD = "#D55E00", "#0072B2", "#000000"
INK, FAINT = "#334155", "#CBD5E1"
WIDTH_IN: Final = 9.0
# More bars than this are drawn as a bitmap instead of shapes, so that a chart stays a few 10 kB.
MOST_SHAPES: Final = 600
SETTINGS: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tapemill",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E2E8F0",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
TITLES: Final = {
    "noise_levels": "Noise in brightness, levels of 255",
    "colour_noise_levels": "Noise in colour, levels of 255",
    "blur": "Blur, 0 sharp to 1 blurred",
    "comb_ratio": "Combing, present above 1",
}


@contextmanager
def _figure(height_in: float) -> Iterator[tuple[Figure, io.StringIO]]:
    """Yield a figure to draw on; afterwards the stream holds it as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with mpl.rc_context(dict[Any, Any](SETTINGS)):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        yield figure, stream
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})


def timeline(run: RunView) -> str:
    """Draw the jobs of a run over time: a row for each lane and for each stage without one."""
    heights = [1.0 if row.is_lane else 0.6 + 0.2 * min(row.slots, 8) for row in run.rows]
    total = max(run.length_s, 0.001)
    unit, unit_s = _unit(total)
    with _figure(1.1 + 0.42 * sum(heights)) as (figure, stream):
        axes = figure.subplots()
        bottom = 0.0
        labels: list[tuple[float, str]] = []
        for row, height in zip(run.rows, heights, strict=True):
            _bars(axes, row, bottom, height, unit_s)
            labels.append((bottom + height / 2, _row_name(row)))
            bottom += height
        axes.set_yticks([position for position, _ in labels], [name for _, name in labels])
        axes.set_ylim(bottom, 0)
        axes.set_xlim(0, total / unit_s)
        axes.set_xlabel(f"{unit} since the first job began")
        axes.grid(False, axis="y")
        _stage_legend(figure, run)
    return stream.getvalue()


def _unit(length_s: float) -> tuple[str, int]:
    """A suitable unit for a duration, and its seconds."""
    return ("hours", 3600) if length_s > 10_800 else ("minutes", 60) if length_s > 180 else ("seconds", 1)


def _bars(axes: Axes, row: TimelineRow, bottom: float, height: float, unit_s: float) -> None:
    slot_height = height * 0.8 / row.slots
    many = len(row.bars) > MOST_SHAPES
    for stage in WITHOUT_LANE:
        for failed in (False, True):
            bars = [bar for bar in row.bars if bar.stage == stage and bar.has_failed == failed]
            for slot in sorted({bar.slot for bar in bars}):
                spans = [
                    (bar.start_s / unit_s, (bar.stop_s - bar.start_s) / unit_s) for bar in bars if bar.slot == slot
                ]
                axes.broken_barh(
                    spans,
                    (bottom + height * 0.1 + slot * slot_height, slot_height * 0.92),
                    facecolor="#FFFFFF" if failed else _colour(stage),
                    edgecolor=BAD if failed else "#FFFFFF",
                    hatch="////" if failed else None,
                    linewidth=0.8 if failed else 0.3,
                    rasterized=many,
                )


def _colour(stage: str) -> str:
    """Colour of a stage; an added stage has that of other jobs."""
    return COLOURS.get(stage, COLOURS["other"])


def _row_name(row: TimelineRow) -> str:
    if not row.is_lane:
        return f"{row.name} (processor)"
    idle = f"{row.idle_share:.0%} idle" if row.idle_share is not None else ""
    return f"{readable(row.name)} · {idle}"


def _stage_legend(figure: Figure, run: RunView) -> None:
    from matplotlib.patches import Patch

    present = {bar.stage for row in run.rows for bar in row.bars}
    handles = [Patch(facecolor=_colour(stage), label=stage) for stage in WITHOUT_LANE if stage in present]
    if any(bar.has_failed for row in run.rows for bar in row.bars):
        handles.append(Patch(facecolor="#FFFFFF", edgecolor=BAD, hatch="////", label="failed attempt"))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles) or 1)


def measures(measured: Sequence[Mapping[str, Any]], rate: float, length_s: float) -> str:
    """Draw each quality metric over the tape, before and after. `measured` are samples with metrics, at least one."""
    unit, unit_s = _unit(length_s)
    times = [sample["frame"] / rate / unit_s for sample in measured]
    with _figure(4.6) as (figure, stream):
        panels = figure.subplots(2, 2, sharex=True).ravel()
        for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
            before, after = ([sample["measures"][name][side] for sample in measured] for side in (0, 1))
            axes.vlines(times, before, after, color=FAINT, linewidth=1.5)
            axes.plot(times, before, "o", color=BEFORE, markersize=5, clip_on=False, label="capture")
            axes.plot(times, after, "D", color=AFTER, markersize=5, clip_on=False, label="tape")
            axes.set_title(title, fontsize=10, loc="left")
            if name == "comb_ratio":
                axes.axhline(1, color=INK, linewidth=0.8, linestyle="--")
            axes.set_ylim(bottom=0, top=1.08 * max([*before, *after, 1.0 if name != "blur" else 0.0, 0.01]))
        for axes in panels[2:]:
            axes.set_xlabel(f"{unit} of the tape")
            axes.set_xlim(0, length_s / unit_s)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return stream.getvalue()


def confidence(cues: Sequence[ReviewedCue], length_s: float) -> str:
    """Draw the confidence of each cue over the length of the tape."""
    unit, unit_s = _unit(length_s)
    known = [(cue, cue.confidence) for cue in cues if cue.confidence is not None]
    with _figure(2.2) as (figure, stream):
        axes = figure.subplots()
        for doubtful, colour, marker in ((False, AFTER, "o"), (True, BEFORE, "X")):
            points = [(cue.start_s / unit_s, value) for cue, value in known if cue.is_doubtful == doubtful]
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=6, clip_on=False) if points else None
        axes.axhline(DOUBTFUL, color=INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(0, 1.03)
        axes.set_xlim(0, length_s / unit_s)
        axes.set_xlabel(f"{unit} of the tape")
        axes.set_ylabel("confidence")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return stream.getvalue()


def work(stages: Sequence[StageWork]) -> str:
    """Draw the seconds of all jobs of each stage."""
    unit, unit_s = _unit(max(each.seconds for each in stages))
    with _figure(0.9 + 0.34 * len(stages)) as (figure, stream):
        axes = figure.subplots()
        names = [each.stage for each in stages]
        values = [each.seconds / unit_s for each in stages]
        bars = axes.barh(names, values, color=[_colour(name) for name in names], height=0.7)
        axes.bar_label(bars, fmt="%.1f", padding=4)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(f"{unit} of all jobs together")
        axes.grid(False, axis="y")
    return stream.getvalue()
