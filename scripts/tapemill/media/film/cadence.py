"""Cadence of film: for each film frame, in order, how many fields it has and how often it is shown.

As text a film frame is the number of its fields and a mark: none if it is shown once, `-` if it is not shown, `+` if it
is shown twice, `.` if its first field is of the scene before. Parts are separated by commas; `32*40` is 40 times 3, 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final, Literal, Self

from tapemill.storage.typed_json import JsonRecord

Pattern = Literal["2:2", "3:2"]
FilmRate = Literal["24", "25"]
PATTERN_OF: Final[dict[FilmRate, Pattern]] = {"24": "3:2", "25": "2:2"}
# Frames a second of captures that may be film, and how many film frames they have for each of their frames.
RATES_OF: Final[dict[FilmRate, tuple[Fraction, ...]]] = {
    "24": (Fraction(30000, 1001), Fraction(30)),
    "25": (Fraction(25),),
}
FRAMES_PER_FRAME: Final[dict[FilmRate, Fraction]] = {"24": Fraction(4, 5), "25": Fraction(1)}

_MARKS: Final = {0: "-", 1: "", 2: "+"}
_SHOWN: Final = {mark: shown for shown, mark in _MARKS.items()}
_FRAME = re.compile(r"([1-9])([-+.]?)")
_PART = re.compile(r"((?:[1-9][-+.]?){1,4})(?:\*([1-9]\d{0,6}))?")
MAX_FRAMES: Final = 1_000_000
FEWEST_REPEATS: Final = 3


@dataclass(frozen=True)
class FilmFrame:
    """One film frame of a scene."""

    fields: int
    shown: int = 1
    """How often it is shown."""
    is_of_scene_before: bool = False
    """Whether the scene before shows it, where its first field is."""

    def __str__(self) -> str:
        return f"{self.fields}{'.' if self.is_of_scene_before else _MARKS[self.shown]}"


@dataclass(frozen=True)
class Cadence:
    """Film frames of a scene, in order, from the first field of its cut on."""

    frames: tuple[FilmFrame, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the output of `str`. Raises ValueError."""
        frames: list[FilmFrame] = []
        for part in text.split(","):
            found = _PART.fullmatch(part)
            if found is None:
                raise ValueError(f"{part[:40]!r} is no cadence of film")
            unit = [
                FilmFrame(int(fields), 0 if mark == "." else _SHOWN[mark], mark == ".")
                for fields, mark in _FRAME.findall(found[1])
            ]
            if len(frames) + len(unit) * int(found[2] or 1) > MAX_FRAMES:
                raise ValueError("this cadence of film is too long")
            frames += unit * int(found[2] or 1)
        return cls(tuple(frames))

    def __str__(self) -> str:
        return ",".join(_parts([str(frame) for frame in self.frames]))

    @property
    def shown(self) -> int:
        """Number of frames of the clip."""
        return sum(frame.shown for frame in self.frames)

    @property
    def repeated(self) -> int:
        """Number of film frames that are shown twice."""
        return sum(frame.shown > 1 for frame in self.frames)

    @property
    def dropped(self) -> int:
        """Number of film frames that are not shown."""
        return sum(not frame.shown and not frame.is_of_scene_before for frame in self.frames)

    def starts(self) -> Iterator[tuple[int, FilmFrame]]:
        """Yield each film frame and the index of its first field in the cut."""
        field = 0
        for frame in self.frames:
            yield field, frame
            field += frame.fields

    def shown_fields(self) -> list[int]:
        """Return for each frame of the clip the index of a field that it is made of; no two are equal."""
        return [start + index for start, frame in self.starts() for index in range(frame.shown)]

    def frame_at(self, field: int) -> int:
        """Return the index of the clip's frame that shows a field, or the one before it if that is not shown.

        -1 is the last frame of the scene before.
        """
        shown = 0
        for start, frame in self.starts():
            if start > field:
                break
            first, shown = shown, shown + frame.shown
            if start + frame.fields > field and frame.shown:
                return first
        return shown - 1


@dataclass(frozen=True)
class SceneFilm(JsonRecord):
    """Film in a scene of a tape that is film as a whole."""

    rate: FilmRate
    """Film frames a second: 24 (24000/1001 of NTSC) or 25."""
    field_order: Literal["tff", "bff"]
    confidence: float | None
    """Expected share of moving fields of the tape that follow the pattern; null if the sheet demands it."""
    cut_frames: int
    """Length of the scene's cut: it has one frame of the next scene, if there is one in the same recording."""
    cadence: str
    """Film frames of the scene, as text of `Cadence`."""

    @cached_property
    def parsed(self) -> Cadence:
        """The cadence."""
        return Cadence.parse(self.cadence)


def _parts(frames: Sequence[str]) -> Iterator[str]:
    """Yield parts of a cadence: runs of one or two film frames that are repeated, and what is between them."""
    index = 0
    single: list[str] = []
    while index < len(frames):
        repeats, length = max((_repeats(frames, index, length), length) for length in (2, 1))
        if repeats < FEWEST_REPEATS:
            single.append(frames[index])
            index += 1
            continue
        yield from single
        single = []
        yield f"{''.join(frames[index : index + length])}*{repeats}"
        index += repeats * length
    yield from single


def _repeats(frames: Sequence[str], start: int, length: int) -> int:
    """Return how often the frames at a position are there in a row."""
    unit = frames[start : start + length]
    count = 0
    while len(unit) == length and frames[start + count * length : start + (count + 1) * length] == unit:
        count += 1
    return count
