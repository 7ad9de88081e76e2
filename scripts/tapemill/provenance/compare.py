"""Comparison of how two tapes were made."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapemill.storage.typed_json import plain_value, to_plain

from .load import LoadedProvenance
from .model import CaptureInputs, SceneHow

# Parts of `how`. The first ones are causes, the last ones follow from them.
PARTS: Final = (
    *("capture", "sheet", "settings", "scene_overrides", "models", "seeds", "programs", "tapemill"),
    *("language", "scenes", "audio"),
)
# With different captures these differ anyway.
OF_THE_CAPTURE: Final = frozenset({"language", "scenes", "audio"})
CODE: Final = "tapemill.code_sha256"
NOTHING: Final = "–"
MOST_SCENES_NAMED: Final = 5
# Characters of a value that are shown, and how many of them before the first difference.
LONGEST, BEFORE = 120, 20


@dataclass(frozen=True)
class Difference:
    """One difference between two tapes."""

    what: str
    """Name in the document: `settings.enhance.sharpen`."""
    first: str
    second: str
    scenes: tuple[str, ...] = ()
    """Scenes with this difference; empty if it concerns the whole tape."""

    def __str__(self) -> str:
        named = ", ".join(self.scenes[:MOST_SCENES_NAMED])
        more = f" and {len(self.scenes) - MOST_SCENES_NAMED} more" if self.scenes[MOST_SCENES_NAMED:] else ""
        where = f" (scene{'s' if len(self.scenes) > 1 else ''} {named}{more})" if self.scenes else ""
        return f"{self.what}{where}: {self.first} | {self.second}"


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison."""

    differences: tuple[Difference, ...]
    by_tags_alone: bool
    """Whether one of them is known by the tags of its file only, which have less detail."""
    same_capture: bool
    same_files: bool | None
    """Whether the results are the same, byte for byte; None if that is not known."""
    other_code: Difference | None = None
    """Difference of the code that did not matter, because the files are the same."""


def compare(first: LoadedProvenance, second: LoadedProvenance) -> Comparison:
    """Compare how two tapes were made; times and places are left out."""
    if first.document is None or second.document is None:
        differences = tuple(_tags(first.tags, second.tags))
        same_capture = first.tags.get("capture") == second.tags.get("capture")
        return Comparison(differences, by_tags_alone=True, same_capture=same_capture, same_files=None)
    one, other = first.document.how, second.document.how
    same_capture = one.capture.files == other.capture.files
    parts = [part for part in PARTS if same_capture or part not in OF_THE_CAPTURE]
    pairs = ((part, getattr(one, part), getattr(other, part)) for part in parts)
    found = list(itertools.chain.from_iterable(itertools.starmap(_of_part, pairs)))
    same_files = first.document.results == second.document.results
    harmless = [each for each in found if each.what == CODE] if same_files else []
    differences = tuple(each for each in found if each not in harmless)
    return Comparison(differences, False, same_capture, same_files, *harmless)


def _of_part(part: str, one: Any, other: Any) -> Iterator[Difference]:
    if part == "scenes":
        yield from _scenes(one, other)
    elif part == "capture" and one.files != other.files:
        yield Difference("capture", _hashes(one), _hashes(other))
    else:
        for what, first, second in _leaves(part, plain_value(one), plain_value(other)):
            yield _difference(what, first, second)


def _hashes(capture: CaptureInputs) -> str:
    count = f" and {len(capture.files) - 1} more" if capture.files[1:] else ""
    return f"SHA-256 {capture.files[0].sha256[:16]}…{count}"


def _scenes(one: Sequence[SceneHow], other: Sequence[SceneHow]) -> Iterator[Difference]:
    """A difference that several scenes share is yielded once."""
    borders = [{scene.scene: (scene.start_frame, scene.stop_frame) for scene in each} for each in (one, other)]
    if borders[0] != borders[1]:
        moved = sorted({name for name, _ in borders[0].items() ^ borders[1].items()})
        first, second = (_frames(each.get(moved[0])) for each in borders)
        yield Difference("frames", first, second, tuple(moved))
    others = {scene.scene: scene for scene in other}
    found: dict[tuple[str, str, str], list[str]] = {}
    for scene in one:
        if borders[0][scene.scene] == borders[1].get(scene.scene):
            for what, first, second in _leaves("", to_plain(scene), to_plain(others[scene.scene])):
                each = _difference(what, first, second)
                found.setdefault((each.what, each.first, each.second), []).append(scene.scene)
    for (what, first_text, second_text), names in found.items():
        yield Difference(what, first_text, second_text, tuple(names))


def _frames(span: tuple[int, int] | None) -> str:
    return NOTHING if span is None else f"{span[0]} to {span[1]}"


def _leaves(what: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Differences of two JSON values, as deep as possible: name, first and second value."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from _leaves(f"{what}.{key}" if what else key, one.get(key, NOTHING), other.get(key, NOTHING))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True), 1):
            yield from _leaves(f"{what} {number}" if len(one) > 1 else what, left, right)
    elif one != other:
        yield what, one, other


def _difference(what: str, first: Any, second: Any) -> Difference:
    if "command" in what and isinstance(first, str) and isinstance(second, str):
        first, second = _different_arguments(first, second)
    return Difference(what, *_shortened(_text(first), _text(second)))


def _shortened(first: str, second: str) -> tuple[str, str]:
    """Long texts, a chain of filters for instance, from shortly before the first difference on."""
    if max(len(first), len(second)) <= LONGEST:
        return first, second
    pairs = enumerate(zip(first, second, strict=False))
    differs = next((position for position, (left, right) in pairs if left != right), min(len(first), len(second)))
    start = max(0, differs - BEFORE)
    return _part_of(first, start), _part_of(second, start)


def _part_of(text: str, start: int) -> str:
    stop = start + LONGEST
    return ("…" if start else "") + text[start:stop] + ("…" if text[stop:] else "")


def _different_arguments(first: str, second: str) -> tuple[str, str]:
    """Arguments of two command lines that are not the same."""
    one, other = shlex.split(first), shlex.split(second)
    if len(one) != len(other):
        left, right = [word for word in one if word not in other], [word for word in other if word not in one]
    else:
        pairs = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
        left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return shlex.join(left) or NOTHING, shlex.join(right) or NOTHING


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items()) or NOTHING
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or NOTHING
    return "empty" if value is None or value == "" else str(value)


def _tags(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*one, *other}):
        first, second = one.get(name, NOTHING), other.get(name, NOTHING)
        if first == second:
            continue
        if name in ("settings", "recipe"):
            yield from _pairs(name, first, second)
        else:
            yield Difference(name, first, second)


def _pairs(name: str, first: str, second: str) -> Iterator[Difference]:
    """Of tags like `scenes=a1b2 enhance=c3d4`."""
    left, right = (dict(pair.partition("=")[::2] for pair in text.split()) for text in (first, second))
    for key in [*left, *(key for key in right if key not in left)]:
        if left.get(key) != right.get(key):
            yield Difference(f"{name}.{key}", left.get(key, NOTHING), right.get(key, NOTHING))
