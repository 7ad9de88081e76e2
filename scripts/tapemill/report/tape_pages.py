"""Pages of one tape, from its sampled frames, its subtitles, the records of its scenes and the events of its runs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import InputError
from tapemill.core.timing import FrameRange, parse_fraction
from tapemill.storage import atomic, untrusted_text

from . import charts
from .page import format_duration, render
from .sampling import MAX_THUMBNAILS, REMEDY, WIDEST_STILL, read_sample
from .subtitle_confidence import DOUBTFUL, SubtitleReview, review_subtitles
from .tape_history import Deviation, attempts_by_run, deviations, failed_attempts, newest_attempts, work_by_stage
from .tape_metadata import TapeMetadata, build_info, read_tape_metadata

MARKS: Final[Mapping[str, str]] = {
    "kept": "as on the capture",
    "stands_in": "damaged",
    "empty": "no subtitles",
    "lowered": "less memory",
}


@dataclass(frozen=True)
class TapePages:
    """Paths of the pages."""

    before_after: Path
    scenes: Path
    subtitles: Path
    quality: Path
    making: Path
    headlines: Path
    """Summary line of each page, for the table of contents."""


@dataclass(frozen=True)
class _Tape:
    """Data of the tape that the pages show."""

    path: Path
    sample: Mapping[str, Any]
    metadata: TapeMetadata
    review: SubtitleReview
    score: Mapping[str, Any] | None
    provenance: Path | None

    @property
    def folder(self) -> Path:
        """Its results folder."""
        return self.path.parent

    @property
    def name(self) -> str:
        """Its id."""
        return self.folder.name

    @cached_property
    def rate(self) -> Fraction:
        """Frame rate of the capture, in which scenes are counted."""
        return parse_fraction(self.sample["rate"])

    @cached_property
    def scenes(self) -> dict[str, FrameRange]:
        """Frame ranges by name."""
        return {each["scene"]: FrameRange(each["start_frame"], each["stop_frame"]) for each in self.sample["scenes"]}

    @cached_property
    def length_s(self) -> float:
        """Duration in seconds."""
        return max(float(span.stop_s(self.rate)) for span in self.scenes.values())

    @cached_property
    def deviations(self) -> list[Deviation]:
        """Scenes that are not as requested."""
        return deviations(self.folder, self.scenes)

    @property
    def measured(self) -> list[Mapping[str, Any]]:
        """Samples with quality metrics."""
        return [sample for sample in self.sample["looks"] if sample["measures"]]


def render_tape_report(
    *,
    tape: Path,
    sample: Path,
    subtitles: Path,
    pages: TapePages,
    score: Path | None = None,
    provenance: Path | None = None,
) -> None:
    """Write the pages of a tape from the files of `sample_report_frames` and, for the demo, of `score_demo`.

    Raises InputError if one of these files cannot be read.
    """
    read = read_sample(sample)
    spans = {each["scene"]: FrameRange(each["start_frame"], each["stop_frame"]) for each in read["scenes"]}
    data = _Tape(
        path=tape,
        sample=read,
        metadata=read_tape_metadata(tape),
        review=review_subtitles(
            srt=subtitles,
            records=tape.parent / "subtitles",
            scenes=spans,
            rate=parse_fraction(read["rate"]),
        ),
        score=None if score is None else untrusted_text.read_json(score, error=InputError, remedy=REMEDY),
        provenance=provenance,
    )
    rendered = {
        "before_after": _before_after(data),
        "scenes": _scenes(data),
        "subtitles": _subtitles(data),
        "quality": _quality(data),
        "making": _making(data),
    }
    for name, (page, _) in rendered.items():
        atomic.write_text(getattr(pages, name), page)
    atomic.write_json(pages.headlines, {name: line for name, (_, line) in rendered.items()})


def _before_after(tape: _Tape) -> tuple[str, str]:
    marks = _marks(tape)
    stills = [
        {
            "time_s": float(look["frame"] / tape.rate),
            "before": look["stills"][0],
            "after": look["stills"][1],
            "mark": ", ".join(marks.get(look["scene"], ())),
        }
        for look in tape.sample["looks"]
        if "stills" in look
    ]
    is_smaller = tape.metadata.width > WIDEST_STILL
    page = render("before_after.html", tape=tape.metadata, stills=stills, is_smaller=is_smaller)
    return page, _count(len(stills), "place")


def _scenes(tape: _Tape) -> tuple[str, str]:
    marks = _marks(tape)
    thumbnails = tape.sample["thumbnails"]
    # Of a longer tape, scenes without a thumbnail are shown only if they have a mark.
    shown = [
        {
            "number": number,
            "name": name,
            "start_s": float(span.start_s(tape.rate)),
            "length_s": float(span.duration_s(tape.rate)),
            "picture": thumbnails.get(name),
            "marks": marks.get(name, ()),
        }
        for number, (name, span) in enumerate(tape.scenes.items(), start=1)
        if len(tape.scenes) <= MAX_THUMBNAILS or name in thumbnails or name in marks
    ]
    page = render("scenes.html", tape=tape.metadata, scenes=shown, all_scenes=len(tape.scenes))
    return page, f"{_count(len(tape.scenes), 'scene')}, {format_duration(tape.length_s)}"


def _subtitles(tape: _Tape) -> tuple[str, str]:
    review = tape.review
    has_confidence = any(cue.confidence is not None for cue in review.cues)
    page = render(
        "subtitles.html",
        tape=tape.metadata,
        review=review,
        doubtful=DOUBTFUL,
        score=tape.score,
        chart=charts.confidence(review.cues, tape.length_s) if has_confidence else None,
    )
    doubtful = f", {review.doubtful} doubtful" if review.doubtful else ""
    return page, f"{_count(len(review.cues), 'cue')}{doubtful}" if review.cues else "no speech"


def _quality(tape: _Tape) -> tuple[str, str]:
    measured = tape.measured
    medians = {
        name: [statistics.median(sample["measures"][name][side] for sample in measured) for side in (0, 1)]
        for name in (measured[0]["measures"] if measured else ())
    }
    page = render(
        "quality.html",
        tape=tape.metadata,
        score=tape.score,
        chart=charts.measures(measured, float(tape.rate), tape.length_s) if measured else None,
        places=len(measured),
        medians=medians,
    )
    if tape.score:
        psnrs_db = [tape.score[name]["psnr_y_db"] for name in ("capture", "restored")]
        return page, "PSNR {:.1f} to {:.1f} dB".format(*psnrs_db)
    return page, "noise {:.1f} to {:.1f}".format(*medians["noise_levels"]) if medians else "not measured"


def _making(tape: _Tape) -> tuple[str, str]:
    runs = attempts_by_run()
    made = newest_attempts(runs, {tape.name: tape.scenes})
    stages = work_by_stage(made, tape.scenes, tape.rate)
    failed = failed_attempts(runs, made)
    replaced = len({each.scene for each in tape.deviations if each.kind != "lowered"})
    lowered = len({each.scene for each in tape.deviations if each.kind == "lowered"})
    page = render(
        "making.html",
        tape=tape.metadata,
        scenes=len(tape.scenes),
        length_s=tape.length_s,
        deviations=tape.deviations,
        replaced=replaced,
        lowered=lowered,
        starts={name: float(span.start_s(tape.rate)) for name, span in tape.scenes.items()},
        failed_attempts=failed,
        stages=stages,
        chart=charts.work(stages) if stages else None,
        build_info=build_info(tape.metadata, tape.provenance),
    )
    parts = [
        f"{_count(replaced, 'scene')} not as asked" if replaced else "",
        f"{lowered} with less memory" if lowered else "",
        f"{_count(len(failed), 'failed attempt')}" if failed else "",
    ]
    return page, ", ".join(filter(None, parts)) or "all as asked"


def _marks(tape: _Tape) -> dict[str, Sequence[str]]:
    """Marks of the scenes that are not as requested, two words each."""
    marks: dict[str, list[str]] = {}
    for each in tape.deviations:
        if MARKS[each.kind] not in marks.setdefault(each.scene, []):
            marks[each.scene].append(MARKS[each.kind])
    return dict(marks)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
