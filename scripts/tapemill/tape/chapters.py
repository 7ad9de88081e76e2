"""Chapters of the tape, from its scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tapemill.core.timing import FrameRange

from .settings import TapeSettings


@dataclass(frozen=True)
class Chapter:
    """A chapter; it lasts until the next one, or to the end of the tape."""

    start_s: Fraction
    title: str


def plan_chapters(*, spans: Sequence[FrameRange], rate: Fraction, settings: TapeSettings) -> list[Chapter]:
    """Plan chapters that begin with scenes and last at least `chapter_shortest_s` seconds, if the tape does.

    `spans` are the scenes in order, in frames at `rate`. Titles name the scenes of a chapter, counted from 1.
    """
    if not settings.chapters or not spans:
        return []
    shortest = Fraction(settings.chapter_shortest_s)
    groups: list[list[int]] = [[]]
    for index, span in enumerate(spans):
        if groups[-1] and span.start_s(rate) - spans[groups[-1][0]].start_s(rate) >= shortest:
            groups.append([])
        groups[-1].append(index)
    if len(groups) > 1 and spans[-1].stop_s(rate) - spans[groups[-1][0]].start_s(rate) < shortest:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [Chapter(spans[group[0]].start_s(rate), _title(group)) for group in groups]


def _title(group: Sequence[int]) -> str:
    first, last = group[0] + 1, group[-1] + 1
    return f"Scene {first}" if first == last else f"Scenes {first}–{last}"
