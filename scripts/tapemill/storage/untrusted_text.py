"""Text that a stranger may have written, or damage may have changed: read within bounds, refused in one clear sentence.

Nothing here believes a file to be as small, as shallow or as well-formed as it should be. All functions raise the
`error` class that they are given, naming the file; a file that is not there raises FileNotFoundError, since to the
planner that means "not yet".
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tapemill.core.errors import TapemillError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode

MEBIBYTE: Final = 1 << 20
# Of lists and settings that people write; the largest of ours has 20 kB.
WRITTEN_BYTES: Final = 4 * MEBIBYTE
# Of what jobs write down: some hundred bytes for each scene, or each file of a folder.
RECORD_BYTES: Final = 64 * MEBIBYTE
# Settings are nested four deep.
DEEPEST: Final = 32
# The config has some hundred values.
MOST_VALUES: Final = 20_000
WIDE: Final = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
# libyaml is ten times faster, and lock and registry are read for every job.
_Safe: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):  # type: ignore[misc]  # which of the two it is, is known when it runs
    """A safe loader whose keys are texts, and none is there twice: the second would silently win."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # Keys that are lists are refused by the loader itself.
            if isinstance(key.value, str):
                if key.value in seen:
                    what = f"the key {key.value[:60]!r} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
                seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        wrong = [key for key in made if not isinstance(key, str)]
        if wrong:
            what = f"the key {wrong[0]!r} is no text, put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return made


def read_bytes(path: Path, *, most_bytes: int, error: type[TapemillError]) -> bytes:
    """The content of a regular file that is no larger than `most_bytes`."""
    if path.exists() and not path.is_file():
        # Opening a pipe would wait for ever.
        raise error("this is no regular file", file=path)
    with path.open("rb") as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise error(
            f"this file is larger than {most_bytes // MEBIBYTE} MiB, which no file of its kind is",
            file=path,
            remedy="look at what is in it",
        )
    return data


def read_text(path: Path, *, most_bytes: int, error: type[TapemillError]) -> str:
    """Text in UTF-8, with or without a byte order mark, and without NUL."""
    data = read_bytes(path, most_bytes=most_bytes, error=error)
    check_encoding(data, path, error)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise error(
            f"line {line}: a character is not UTF-8",
            file=path,
            remedy="save the file as UTF-8 (a choice of the editor)",
        ) from wrong


def check_encoding(data: bytes, path: Path, error: type[TapemillError]) -> None:
    """Raise `error` for what is not text, or of two bytes a character. Other wrong bytes may pass."""
    if data.startswith(tuple(WIDE)):
        raise error("this file is UTF-16", file=path, remedy="save it as UTF-8 (a choice of the editor)")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise error(f"line {line}: a NUL byte, so this is no text", file=path, remedy="look at what is in the file")


def read_json(path: Path, *, error: type[TapemillError], remedy: str) -> dict[str, Any]:
    """A record that a job wrote: one JSON object."""
    try:
        values = json.loads(read_text(path, most_bytes=RECORD_BYTES, error=error))
    except (ValueError, RecursionError) as wrong:
        raise error(f"this record is damaged: {_first_line(wrong)}", file=path, remedy=remedy) from wrong
    if not isinstance(values, dict):
        raise error("this record is damaged: it is no object", file=path, remedy=remedy)
    return values


def parse_yaml(text: str) -> Any:
    """What a YAML text of plain values says. Raises ValueError saying line and reason for anything else.

    Aliases, which a few lines can make billions of values with, are refused, as are tags, deep nesting and double keys.
    """
    try:
        _scan(text)
        return yaml.load(text, _Loader)  # noqa: S506  it is a safe loader
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"{where}{wrong.problem or wrong.context}") from wrong
    # Numbers and dates are converted without a check: `2024-13-01`, a number of 5000 digits.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as wrong:
        raise ValueError(_first_line(wrong)) from wrong


def _scan(text: str) -> None:
    """Raise ValueError for what must not be built. The parser takes no stack for depth, the loader does."""
    depth = 0
    for event in yaml.parse(text, _Safe):
        mark = event.start_mark
        line = 0 if mark is None else mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line}: aliases (*{event.anchor}) are not allowed, write the values out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ValueError(f"line {line}: tags ({tag}) are not allowed, write plain values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"line {line}: nested more than {DEEPEST} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check_size(values: Any, what: str, error: type[TapemillError]) -> None:
    """Raise `error` for values, from wherever they come, of which there are too many or which are nested too deep.

    What aliases make one value stand for many times is counted as often: whoever walks through it takes that long.
    """
    left = MOST_VALUES
    waiting: list[tuple[Any, int]] = [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        inner: Sequence[Any] = ()
        if isinstance(value, Mapping):
            inner = list(value.values())
        elif isinstance(value, list | tuple):
            inner = value
        left -= len(inner)
        if left < 0 or depth > DEEPEST:
            raise error(
                f"{what} has more than {MOST_VALUES} values, or is nested more than {DEEPEST} deep",
                remedy="look for aliases (*name) that stand for themselves many times over",
            )
        waiting.extend((item, depth + 1) for item in inner)


def _first_line(wrong: Exception) -> str:
    return (str(wrong).strip() or type(wrong).__name__).splitlines()[0][:200]
