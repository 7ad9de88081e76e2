"""Layout of speech segments as cues: the amount of text on screen at once, and its duration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tapemill.records.speech import Segment

from .line_breaking import Unit, balanced_lines, border, columns, filled_lines, in_one_line, units
from .sanitise import safe_text
from .settings import SubtitlesSettings
from .srt import Cue

# A cue may start this much before its speech, if that is the only way to gain reading time.
EARLY_MS = 400
# Costs of ending a cue here, relative to the cost of one more cue: end of a sentence, of a clause, between two words,
# and within a word of a language without spaces.
BORDER_COSTS = (0.0, 0.25, 0.75)
NO_SPACE_COST = 0.5
# For a cue without any text; less by the square of how full it is.
EMPTINESS_COST = 0.5


@dataclass(frozen=True)
class _Piece:
    """Text for one cue, with the time at which it is spoken."""

    start_ms: int
    stop_ms: int
    text: tuple[Unit, ...]


@dataclass(frozen=True)
class _Limits:
    """Limits of this scene in milliseconds."""

    last_ms: int
    gap_ms: int
    frame_ms: int
    shortest_ms: int
    longest_ms: int

    def equal_share_ms(self, cues: int) -> int:
        """The longest duration of each of `cues` cues, if all are equal."""
        return (self.last_ms - (cues - 1) * self.gap_ms) // cues


def layout_cues(segments: Sequence[Segment], *, frames: int, rate: Fraction, settings: SubtitlesSettings) -> list[Cue]:
    """Lay out segments as cues of a scene of `frames` frames at `rate`; times count from its start.

    Guaranteed: all text, in order, inside the scene, without overlap, with the gap between cues, no cue longer than
    the maximum. As far as the scene is long enough: the minimum duration, then the number of lines. As far as pauses
    allow: the reading speed.
    """
    limits = _limits(frames, rate, settings)
    pieces = [
        piece
        for segment in sorted(segments, key=lambda segment: segment.start_ms)
        for piece in _split(segment, limits, settings)
    ]
    pieces = _merge_surplus(_merge_close(pieces, limits, settings), limits)
    return [
        Cue(start, stop, "\n".join(balanced_lines(piece.text, settings.line_characters)))
        for piece, (start, stop) in zip(pieces, _times(pieces, limits, settings), strict=True)
    ]


def _limits(frames: int, rate: Fraction, settings: SubtitlesSettings) -> _Limits:
    # A scene shorter than the gap gets no gap at its end: its text has to be shown.
    usable = frames - settings.gap_frames if frames > settings.gap_frames else frames
    return _Limits(
        last_ms=max(math.floor(usable * 1000 / rate), 1),
        gap_ms=math.ceil(settings.gap_frames * 1000 / rate),
        frame_ms=math.ceil(1000 / rate),
        shortest_ms=round(settings.cue_shortest_s * 1000),
        longest_ms=round(settings.cue_longest_s * 1000),
    )


def _split(segment: Segment, limits: _Limits, settings: SubtitlesSettings) -> list[_Piece]:
    """Split a segment into pieces that fit a cue, at the cheapest borders (dynamic programming)."""
    width, capacity = settings.line_characters, settings.line_characters * settings.lines
    text = safe_text(segment.text, markup=False)
    parts = units(text, width)
    spoken = _spoken_times(segment, text)
    spans = [(spoken[part.offset][0], spoken[part.offset + len(part.text) - 1][1]) for part in parts]
    best = [0.0] + [math.inf] * len(parts)
    best_start = [0] * (len(parts) + 1)
    for start in range(len(parts)):
        for stop in range(start + 1, len(parts) + 1):
            piece = parts[start:stop]
            if len(filled_lines(piece, width)) > settings.lines:
                break
            if stop > start + 1 and spans[stop - 1][1] - spans[start][0] > limits.longest_ms:
                break
            cost = best[start] + 1 + EMPTINESS_COST * (1 - columns(in_one_line(piece)) / capacity) ** 2
            if stop < len(parts):
                cost += BORDER_COSTS[border(parts[stop - 1].text)] + NO_SPACE_COST * (not parts[stop].spaced)
            if cost < best[stop]:
                best[stop], best_start[stop] = cost, start
    pieces: list[_Piece] = []
    stop = len(parts)
    while stop > 0:
        start = best_start[stop]
        pieces.append(_Piece(spans[start][0], spans[stop - 1][1], tuple(parts[start:stop])))
        stop = start
    return pieces[::-1]


def _spoken_times(segment: Segment, text: str) -> list[tuple[int, int]]:
    """Start and end of each character that is not white space, in milliseconds.

    From the word times if there are any; otherwise all characters take the same time.
    """
    letters = "".join(text.split())
    words = [
        ("".join(safe_text(word.text, markup=False).split()), word.start_ms, word.stop_ms) for word in segment.words
    ]
    if "".join(word for word, _, _ in words) != letters:
        words = [(letters, segment.start_ms, segment.stop_ms)]
    return [
        (start + (stop - start) * index // len(word), start + (stop - start) * (index + 1) // len(word))
        for word, start, stop in words
        for index in range(len(word))
    ]


def _merge_close(pieces: Sequence[_Piece], limits: _Limits, settings: SubtitlesSettings) -> list[_Piece]:
    """Merge a piece into the cue before it where that cue would otherwise be too short, or delay this one."""
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and piece.start_ms - merged[-1].start_ms < limits.shortest_ms + limits.gap_ms:
            union = _Piece(merged[-1].start_ms, max(merged[-1].stop_ms, piece.stop_ms), merged[-1].text + piece.text)
            fits = union.stop_ms - union.start_ms <= limits.longest_ms
            if fits and len(filled_lines(union.text, settings.line_characters)) <= settings.lines:
                merged[-1] = union
                continue
        merged.append(piece)
    return merged


def _merge_surplus(pieces: Sequence[_Piece], limits: _Limits) -> list[_Piece]:
    """Merge pieces, even beyond the number of lines, while there are more cues than frames to show them."""
    pieces = list(pieces)
    while len(pieces) > 1 and limits.equal_share_ms(len(pieces)) < limits.frame_ms:
        at = min(range(1, len(pieces)), key=lambda index: len(pieces[index - 1].text) + len(pieces[index].text))
        before, after = pieces[at - 1 : at + 1]
        union = _Piece(before.start_ms, max(before.stop_ms, after.stop_ms), before.text + after.text)
        pieces[at - 1 : at + 1] = [union]
    return pieces


def _times(pieces: Sequence[_Piece], limits: _Limits, settings: SubtitlesSettings) -> list[tuple[int, int]]:
    """Start and end of each cue in milliseconds: as spoken, moved as little as the rules allow."""
    if not pieces:
        return []
    count = len(pieces)
    shortest = max(min(limits.shortest_ms, limits.equal_share_ms(count)), 1)
    step = shortest + limits.gap_ms
    starts: list[int] = []
    for index, piece in enumerate(pieces):
        latest = limits.last_ms - shortest - (count - 1 - index) * step
        earliest = starts[-1] + step if starts else 0
        starts.append(max(min(piece.start_ms, latest), earliest))
    times: list[tuple[int, int]] = []
    for start, following, piece in zip(starts, [*starts[1:], limits.last_ms + limits.gap_ms], pieces, strict=True):
        to_read = math.ceil(len(in_one_line(piece.text)) * 1000 / settings.characters_per_s)
        wanted = max(piece.stop_ms, start + max(shortest, to_read))
        stop = min(wanted, start + limits.longest_ms, following - limits.gap_ms)
        free = times[-1][1] + limits.gap_ms if times else 0
        missing = min(to_read, limits.longest_ms) - (stop - start)
        times.append((start - max(min(missing, EARLY_MS, start - free), 0), stop))
    return times
