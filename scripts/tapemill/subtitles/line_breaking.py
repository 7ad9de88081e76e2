"""Line breaking of subtitle text, in words or, without spaces, between characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

# Text of more lines is not balanced: only text crowded into a very short scene has them, and there are too many ways
# to break it.
MOST_BALANCED = 3

SENTENCE_END = ".!?…。！？｡"
CLAUSE_END = ",;:–—、，；："
CLOSERS = "\"'”’»)]}」』）】〉》"
# Japanese and Chinese punctuation and small kana that no line begins with, Thai and Lao vowels after their consonant.
NEVER_FIRST = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー）〕］｝〉》」』】,.!?…:;)]}%ぁぃぅぇぉっゃゅょァィゥェォッャュョะาำຳະາ"
)
NEVER_LAST = frozenset("（〔［｛〈《「『【([{เแโใไເແໂໃໄ")


@dataclass(frozen=True)
class Unit:
    """Text that no line break divides: a word, or one character of a language written without spaces."""

    text: str
    spaced: bool
    """Whether white space comes before it, unless it begins a line."""
    offset: int
    """Index of its first character among those of the text that are not white space."""

    @property
    def columns(self) -> int:
        """Width; East Asian wide characters take two columns."""
        return columns(self.text)


def columns(text: str) -> int:
    """Width of a line in columns: one for each character, two for the wide ones of East Asia."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def units(text: str, width: int) -> list[Unit]:
    """Split text into units of at most `width` columns. White space only separates units."""
    found: list[Unit] = []
    offset = 0
    for word in text.split():
        for position, piece in enumerate(_pieces(word, width)):
            found.append(Unit(piece, spaced=position == 0, offset=offset))
            offset += len(piece)
    return found


def _pieces(word: str, width: int) -> Iterator[str]:
    clusters = list(_clusters(word))
    too_wide = columns(word) > width
    piece = clusters[0]
    for before, cluster in pairwise(clusters):
        breakable = too_wide or columns(before[-1]) == 2 or columns(cluster[0]) == 2
        forbidden = cluster[0] in NEVER_FIRST or before[-1] in NEVER_LAST
        if (breakable and not forbidden) or columns(piece + cluster) > width:
            yield piece
            piece = cluster
        else:
            piece += cluster
    yield piece


def _clusters(word: str) -> Iterator[str]:
    """Characters with the marks that belong to them."""
    cluster = ""
    for character in word:
        attached = unicodedata.category(character).startswith("M") or "\u200d" in (character, cluster[-1:])
        if cluster and not attached:
            yield cluster
            cluster = ""
        cluster += character
    yield cluster


def in_one_line(line: Sequence[Unit]) -> str:
    """The text of the units as one line."""
    return "".join(f" {unit.text}" if unit.spaced and position else unit.text for position, unit in enumerate(line))


def filled_lines(text: Sequence[Unit], width: int) -> list[list[Unit]]:
    """Break units into the fewest lines of at most `width` columns, each filled before the next (greedy)."""
    lines: list[list[Unit]] = []
    used = 0
    for unit in text:
        used += unit.spaced + unit.columns
        if lines and used <= width:
            lines[-1].append(unit)
        else:
            lines.append([unit])
            used = unit.columns
    return lines


def balanced_lines(text: Sequence[Unit], width: int) -> list[str]:
    """Break units into as few lines as possible, about equally wide, best after punctuation and shorter on top."""
    filled = filled_lines(text, width)
    count = len(filled)
    if count > MOST_BALANCED:
        return [in_one_line(line) for line in filled]
    ideal = columns(in_one_line(text)) / count
    best: tuple[float, list[str]] | None = None
    for breaks in combinations(range(1, len(text)), count - 1):
        edges = [0, *breaks, len(text)]
        lines = [in_one_line(text[start:stop]) for start, stop in pairwise(edges)]
        if max(map(columns, lines)) > width:
            continue
        cost = sum((columns(line) - ideal) ** 2 for line in lines) - sum(_bonus(line) for line in lines[:-1])
        cost += 0.1 * (columns(lines[0]) > columns(lines[-1]))
        if best is None or cost < best[0]:
            best = (cost, lines)
    assert best is not None, "the greedy lines are one of the choices"
    return best[1]


def _bonus(line: str) -> float:
    """Bonus of a break in squared columns: worth 12 columns off the middle for a sentence, 7 for a clause."""
    return {0: 288.0, 1: 98.0, 2: 0.0}[border(line)]


def border(text: str) -> int:
    """Kind of border after the text: 0 end of a sentence, 1 of a clause, 2 neither."""
    last = text.rstrip(CLOSERS)[-1:]
    if last and last in SENTENCE_END:
        return 0
    return 1 if last and last in CLAUSE_END else 2
