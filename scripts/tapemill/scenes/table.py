"""Scene table (`scenes.tsv`), edit decision list and CSV sheet of a tape.

The Snakefile reads tables while planning, so this module imports nothing heavy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.core.timing import FrameRange, format_fraction, parse_fraction, round_half_up, timestamp
from tapemill.media.film.cadence import SceneFilm
from tapemill.storage import untrusted_text
from tapemill.storage.atomic import write_text

COLUMNS = ("scene", "start_frame", "stop_frame", "start_s", "stop_s", "rate", "start_exact", "stop_exact")
# Only of tapes that are film as a whole.
FILM_COLUMNS = ("film", "film_field_order", "film_confidence", "cut_frames", "cadence")
BY_SHEET = "sheet"
ID_DIGITS = 7


@dataclass(frozen=True)
class Scene:
    """One scene of a capture; its name is its first frame, so that new borders elsewhere do not rename it."""

    id: str
    span: FrameRange
    rate: Fraction
    film: SceneFilm | None = None
    """Film frames of the scene, if the tape is film as a whole."""

    @property
    def cut_frames(self) -> int:
        """Length of its cut in frames."""
        return self.film.cut_frames if self.film else self.span.frames


def make_scenes(spans: Iterable[FrameRange], rate: Fraction, films: Sequence[SceneFilm] = ()) -> tuple[Scene, ...]:
    """Make scenes, named by their first frames. `films` are none, or one for each."""
    scenes = tuple(Scene(f"{span.start_frame:0{ID_DIGITS}d}", span, rate) for span in spans)
    return tuple(replace(scene, film=film) for scene, film in zip(scenes, films, strict=True)) if films else scenes


def folder_scenes(files: Sequence[Path]) -> dict[str, Path]:
    """Map names of ready scenes, which are their numbers from 1 on, to their files.

    `files` are in natural order, as from `fingerprint.scene_files`.
    """
    return {f"{number:0{ID_DIGITS}d}": path for number, path in enumerate(files, start=1)}


def write_scenes(scenes: Sequence[Scene], target: Path) -> None:
    """Write the table: half-open frame ranges, seconds rounded for people and as exact fractions."""
    is_film = any(scene.film for scene in scenes)
    rows = ["\t".join((*COLUMNS, *(FILM_COLUMNS if is_film else ())))]
    for scene in scenes:
        start_s, stop_s = scene.span.start_s(scene.rate), scene.span.stop_s(scene.rate)
        frames = (scene.id, str(scene.span.start_frame), str(scene.span.stop_frame))
        exact = (format_fraction(scene.rate), format_fraction(start_s), format_fraction(stop_s))
        film = _film_cells(scene.film) if scene.film else ()
        rows.append("\t".join((*frames, f"{float(start_s):.6f}", f"{float(stop_s):.6f}", *exact, *film)))
    write_text(target, "\n".join(rows) + "\n")


def read_scenes(table: Path) -> tuple[Scene, ...]:
    """Read `scenes.tsv`. Raises InputError if it is no such table or its spans leave a gap or overlap."""
    text = untrusted_text.read_text(table, max_bytes=untrusted_text.MAX_RECORD_BYTES, error=InputError)
    header, *rows = text.splitlines() or [""]
    try:
        if tuple(header.split("\t")) not in (COLUMNS, COLUMNS + FILM_COLUMNS):
            raise ValueError(f"its columns are {header[:100]!r}")
        scenes = []
        for row in rows:
            cells = dict(zip(header.split("\t"), row.split("\t"), strict=True))
            span = FrameRange(int(cells["start_frame"]), int(cells["stop_frame"]))
            scenes.append(Scene(cells["scene"], span, parse_fraction(cells["rate"]), _film_of(cells, span)))
        expected = 0
        for scene in scenes:
            # Names become paths, so they are checked.
            if scene.id != f"{scene.span.start_frame:0{ID_DIGITS}d}" or scene.rate <= 0:
                raise ValueError(f"scene {scene.id[:60]!r} is not named after its first frame, or has no rate")
            if scene.span.start_frame != expected:
                raise ValueError(f"scene {scene.id} does not begin where the one before ends, at frame {expected}")
            expected = scene.span.stop_frame
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"this is no table of scenes: {error}", file=table, remedy="delete it, and the workflow makes it again"
        ) from error
    return tuple(scenes)


def _film_cells(film: SceneFilm) -> tuple[str, ...]:
    confidence = BY_SHEET if film.confidence is None else str(film.confidence)
    return film.rate, film.field_order, confidence, str(film.cut_frames), film.cadence


def _film_of(cells: Mapping[str, str], span: FrameRange) -> SceneFilm | None:
    """Return the film of a row. Raises ValueError."""
    if "film" not in cells:
        return None
    rate, order, confidence, frames, cadence = (cells[name] for name in FILM_COLUMNS)
    plain = {"rate": rate, "field_order": order, "cut_frames": int(frames), "cadence": cadence}
    film = SceneFilm.from_plain(plain | {"confidence": None if confidence == BY_SHEET else float(confidence)})
    fields = sum(frame.fields for frame in film.parsed.frames)
    if not (span.frames <= film.cut_frames <= span.frames + 1 and 2 * span.frames <= fields <= 2 * film.cut_frames):
        raise ValueError(f"the cadence of scene {cells['scene'][:60]!r} has {fields} fields")
    return film


def write_csv(scenes: Sequence[Scene], target: Path) -> None:
    """Write a CSV sheet for people: times as HH:MM:SS.mmm, length in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scene", "start", "stop", "length_s", "frames"))
    for scene in scenes:
        times = (timestamp(scene.span.start_s(scene.rate)), timestamp(scene.span.stop_s(scene.rate)))
        length_s = float(scene.span.duration_s(scene.rate))
        writer.writerow((scene.id, *times, f"{length_s:.3f}", scene.span.frames))
    write_text(target, text.getvalue())


def write_edl(scenes: Sequence[Scene], title: str, target: Path) -> None:
    """Write a CMX 3600 edit decision list, one cut a scene, record times equal to source times.

    Rates of 30000/1001 and 60000/1001 use drop-frame time code, as is usual for NTSC tapes, all others count on.
    """
    rate = scenes[0].rate if scenes else Fraction(25)
    mode = "DROP FRAME" if _dropped_numbers(rate) else "NON-DROP FRAME"
    lines = [f"TITLE: {' '.join(title.split())}", f"FCM: {mode}", ""]
    for number, scene in enumerate(scenes, start=1):
        times = f"{timecode(scene.span.start_frame, rate)} {timecode(scene.span.stop_frame, rate)}"
        lines.append(f"{number:03d}  AX       V     C        {times} {times}")
        lines.append(f"* FROM CLIP NAME: {scene.id}")
    write_text(target, "\n".join(lines) + "\n")


def timecode(frame: int, rate: Fraction) -> str:
    """SMPTE 12M time code of a frame: HH:MM:SS:FF, or HH:MM:SS;FF where numbers are dropped."""
    base, drops = max(1, round_half_up(rate)), _dropped_numbers(rate)
    if drops:
        # Each minute skips its first numbers, except every tenth.
        tens, rest = divmod(frame, 600 * base - 9 * drops)
        frame += 9 * drops * tens + drops * max(0, (rest - drops) // (60 * base - drops))
    seconds, frames = divmod(frame, base)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{';' if drops else ':'}{frames:02d}"


def _dropped_numbers(rate: Fraction) -> int:
    """Return how many frame numbers drop-frame time code skips per minute."""
    return {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}.get(rate, 0)
