"""Captures of other people end to end, and each tape against plain decoding of its capture.

Prints a table: frames, places, colours, aspect, and lag of the audio. Ends with 1 if one is not as it should be.

    python -m tests.survey.drive FILE…
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.project import Project
from tests.survey.plain import AUDIO_HZ, Plain, decode

HEAD = (
    "| file | decoded | tape | repeated, dropped | in place | colours | aspect | audio | lag |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
# A frame may be as like its neighbours as to itself; in a window of so many it is not to be nearer to another.
WINDOW, TOLERANCE = 3, 0.5
# In levels of 255: rounding of colours, fields that are interpolated, and the edge of lines that are cropped.
MAX_COLOUR = 4.0
REASON = re.compile(r"(?:InputError|GateError|ToolFailed|SceneError|ConfigError)[^\n]*")
MAX_ASPECT, MAX_LAG_MS = 0.01, 12.0


@dataclass(frozen=True)
class Finding:
    """One capture and its tape."""

    row: str
    is_good: bool


def main() -> int:
    """Survey the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--preset", default="none")
    asked = parser.parse_args()
    _print(HEAD)
    is_good = True
    for path in asked.files:
        with tempfile.TemporaryDirectory(prefix="tapemill-survey-") as folder:
            found = survey(path.resolve(), Path(folder) / "project", asked.preset)
        _print(found.row)
        is_good &= found.is_good
    return int(not is_good)


def survey(path: Path, folder: Path, preset: str) -> Finding:
    """Make the tape of a capture and compare it with the capture as plain ffmpeg decodes it."""
    project = Project(folder)
    project.configure(enhance={"preset": preset}, disk={"reserve_gb": 0})
    project.sheet({"tape": "T", "source": str(path), "language": "en"})
    run = project.run("all")
    if run.exit_code:
        found = REASON.search(run.output)
        reason = " ".join(found[0].split()) if found else "no reason given"
        return Finding(f"| {path.name} | no tape: {reason} |" + " |" * 7, is_good=False)
    return compare(path, decode(project.path("results/T/T.mkv")), project)


@dataclass(frozen=True)
class Comparison:
    """One recording, and its part of a tape."""

    capture: Plain
    is_counted: bool
    """Whether the tape has as many frames as it must."""
    in_place: float
    colour: float
    lag_ms: float


def compare(path: Path, tape: Plain, project: Project) -> Finding:
    """Compare a tape with its capture; `capture.json` adds repeated and dropped frames, and the bytes of recordings."""
    facts = json.loads(project.path("results/T/capture.json").read_text())
    takes = facts["takes"]
    factor = 2 if facts["picture"]["field_order"] != "progressive" else 1
    found, first = [], 0
    for number, take in enumerate(takes):
        stop = first + factor * take["frames"] if number + 1 < len(takes) else len(tape.pictures)
        found.append(_compare_take(_decode_part(path, take, project), tape.between(first, stop), take, factor))
        first = stop
    aspect = found[0].capture.aspect
    share = float(np.average([each.in_place for each in found], weights=[take["frames"] for take in takes]))
    lag_ms = max((each.lag_ms for each in found), key=abs)
    colour = max(each.colour for each in found)
    checks = (
        all(each.is_counted for each in found),
        _covers(path, takes),
        share == 1.0,
        colour <= MAX_COLOUR,
        abs(float(tape.aspect / aspect) - 1) <= MAX_ASPECT,
        abs(lag_ms) <= MAX_LAG_MS,
    )
    cells = (
        path.name,
        " + ".join(f"{len(each.capture.pictures)}" for each in found),
        f"{len(tape.pictures)}{' fields' if factor == 2 else ''}",
        f"{sum(take['duplicates'] for take in takes)}, {sum(take['drops'] for take in takes)}",
        f"{100 * share:.0f} %",
        f"{colour:.1f}",
        f"{float(aspect):.3f}, {float(tape.aspect):.3f}",
        f"{sum(len(each.capture.audio) for each in found) / AUDIO_HZ:.2f} s, {len(tape.audio) / AUDIO_HZ:.2f} s",
        f"{lag_ms:.0f} ms" + ("" if all(checks) else " **!**"),
    )
    return Finding("| " + " | ".join(cells) + " |", all(checks))


def _decode_part(path: Path, take: dict[str, Any], project: Project) -> Plain:
    """Decode the bytes of one recording as a file of their own: joined ones have several clocks."""
    if not take.get("part"):
        return decode(path)
    start, stop = take["part"]["start"], take["part"]["stop"]
    alone = project.path(f"part-{start}{path.suffix}")
    with path.open("rb") as stream:
        stream.seek(start)
        alone.write_bytes(stream.read(stop - start))
    return decode(alone)


def _covers(path: Path, takes: Sequence[dict[str, Any]]) -> bool:
    """Whether the recordings are all bytes of a file."""
    parts = [take["part"] for take in takes if take.get("part")]
    borders = [0, *(part["stop"] for part in parts)]
    return not parts or borders == [*(part["start"] for part in parts), path.stat().st_size]


def _compare_take(capture: Plain, tape: Plain, take: dict[str, Any], factor: int) -> Comparison:
    expected = len(capture.pictures) + take["duplicates"] - take["drops"]
    # Frames before the first that can be decoded show it, and the audio begins with them.
    lead_s = capture.times_s[0] - float(Fraction(take["time_base"]) * take["start_pts"])
    # A frame of a variable rate is shown from the nearest frame of the grid on.
    shown_s = tape.times_s[::factor] + 0.49 / float(Fraction(take["rate"]))
    right = np.maximum(np.searchsorted(capture.times_s - capture.times_s[0] + lead_s, shown_s, "right") - 1, 0)
    return Comparison(
        capture=capture,
        is_counted=len(tape.pictures) == factor * expected,
        in_place=_in_place(capture.pictures, right, tape.pictures[::factor]),
        colour=_colour(capture, right, tape, factor),
        lag_ms=_lag_ms(capture.audio, tape.audio) - 1000 * lead_s,
    )


def _in_place(capture: np.ndarray, right: np.ndarray, tape: np.ndarray) -> float:
    """Share of the tape's frames that are no nearer to another frame of the capture than to the right one."""
    good = 0
    for number, picture in zip(right, tape, strict=True):
        first = max(0, number - WINDOW)
        distances = np.abs(capture[first : number + WINDOW + 1] - picture).mean(axis=(1, 2, 3))
        good += distances[number - first] <= distances.min() + TOLERANCE
    return good / len(tape)


def _colour(capture: Plain, right: np.ndarray, tape: Plain, factor: int) -> float:
    """Largest difference of the mean colours of all frames, in levels of 255."""
    wanted, found = capture.pictures[right], tape.pictures[::factor]
    return float(np.abs(wanted.mean(axis=(0, 1, 2)) - found.mean(axis=(0, 1, 2))).max())


def _lag_ms(capture: np.ndarray, tape: np.ndarray) -> float:
    """Delay of the tape's audio, by correlation; 0 without audio."""
    count = min(len(capture), len(tape), 60 * AUDIO_HZ)
    if count == 0 or not capture[:count].any():
        return 0.0
    size = 2 * count
    product = np.fft.rfft(tape[:count], size) * np.conj(np.fft.rfft(capture[:count], size))
    peak = int(np.fft.irfft(product, size).argmax())
    return 1000 * (peak if peak < count else peak - size) / AUDIO_HZ


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
