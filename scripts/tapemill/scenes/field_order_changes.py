"""Changes of the field order within a capture: frames from which on fields come in another order, or are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np

from tapemill.media import field_match
from tapemill.media.capture_info import FieldOrder

ORDERS: Final[tuple[FieldOrder, ...]] = ("tff", "bff", "progressive")
# Contradiction of a frame to each order, by the letters of `FieldMatcher`. A still that is repeated looks like either
# order in turn. In an interlaced part some frames look progressive, and two of five in telecine.
_CONTRADICTIONS: Final = {
    field_match.TOP_FIRST: (0.0, 1.0, 0.4),
    field_match.PREVIOUS: (0.0, 1.0, 1.0),
    field_match.BOTTOM_FIRST: (1.0, 0.0, 0.4),
    field_match.NEXT: (1.0, 0.0, 1.0),
    field_match.SAME: (0.6, 0.6, 0.0),
    field_match.STILL: (0.0, 0.0, 0.0),
}
# A change is believed if it explains frames with so much contradiction together: half a second of the other order, or
# one to two seconds of another kind of movement.
SWAP, OTHER_KIND = 12.0, 15.0
# A change of the order alone makes one step between frames half as large again.
JUMP_RATIO = 2.0


def find_order_changes(matches: str, cuts: Collection[int], movement: np.ndarray) -> list[int]:
    """Return the first frames of another field order. `matches` has a letter for each frame, from `FieldMatcher`.

    `movement` is the difference of each frame to the one before, shape = (frames,). Of the still frames in which a
    change may be, a cut is taken, or else the first moving frame after them.
    """
    letters = list(matches)
    for cut in cuts:
        # These two have a neighbour of another image.
        letters[cut - 1] = letters[cut] = field_match.STILL
    orders = _most_likely_orders(letters)
    changes = []
    for frame in range(1, len(orders)):
        if orders[frame] == orders[frame - 1]:
            continue
        first, last = _undecided_around(letters, frame)
        inside = [cut for cut in cuts if first <= cut <= last]
        changes.append(min(inside) if inside else _at_jump(last, movement))
    return changes


def _at_jump(frame: int, movement: np.ndarray) -> int:
    """Move a change by a frame to where another recording clearly begins: fields around it fit by chance only."""
    first = max(1, frame - 1)
    around = movement[first : frame + 2]
    largest, second = np.sort(around)[[-1, -2]] if len(around) > 1 else (0.0, 0.0)
    return first + int(np.argmax(around)) if largest > JUMP_RATIO * second else frame


def _undecided_around(letters: list[str], frame: int) -> tuple[int, int]:
    """First and last frame at which a change may be that is found at `frame`, for still frames around it."""
    first = last = frame
    while first > 1 and letters[first - 1] == field_match.STILL:
        first -= 1
    while last < len(letters) - 1 and letters[last] == field_match.STILL:
        last += 1
    return first, last


def _most_likely_orders(letters: Iterable[str]) -> list[int]:
    """Index of the order of each frame, with the least contradiction and changes together (Viterbi's algorithm)."""
    states = range(len(ORDERS))
    costs = [0.0] * len(ORDERS)
    came_from: list[list[int]] = []
    for letter in letters:
        # The same order comes first of equal ones.
        best = [min((costs[old] + _change_cost(old, new), old != new, old) for old in states) for new in states]
        costs = [cost + more for (cost, _, _), more in zip(best, _CONTRADICTIONS[letter], strict=True)]
        came_from.append([old for _, _, old in best])
    state = costs.index(min(costs))
    orders = []
    for before in reversed(came_from):
        orders.append(state)
        state = before[state]
    return orders[::-1]


def _change_cost(old: int, new: int) -> float:
    if old == new:
        return 0.0
    return OTHER_KIND if "progressive" in (ORDERS[old], ORDERS[new]) else SWAP
