"""Readers of untrusted or damaged text, with limits on size and depth and clear errors.

No file is assumed to be as small, as shallow or as well-formed as it should be. All functions raise the `error` class
that they are given, naming the file; a missing file raises FileNotFoundError, which means "not yet" to the planner.
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
# Tables and settings that people write; the largest of ours has 20 kB.
MAX_TEXT_BYTES: Final = 4 * MEBIBYTE
# Records that jobs write: some hundred bytes for each scene, or each file of a folder.
MAX_RECORD_BYTES: Final = 64 * MEBIBYTE
# Settings are nested four deep.
MAX_DEPTH: Final = 32
# The config has some hundred values.
MAX_VALUES: Final = 20_000
UTF16_MARKS: Final = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
# libyaml is ten times faster, and lock and registry are read for every job.
_SafeLoader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]  # which of the two it is, is known when it runs
    """A safe loader that accepts only text as keys, and no key twice: the second would silently win."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # Keys that are lists are refused by the loader itself.
            if isinstance(key.value, str):
                if key.value in seen:
                    what = f"the key {key.value[:60]!r} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        invalid = [key for key in mapping if not isinstance(key, str)]
        if invalid:
            what = f"the key {invalid[0]!r} is no text, put it in quotes"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        return mapping


def read_bytes(path: Path, *, max_bytes: int, error: type[TapemillError]) -> bytes:
    """Read a regular file that is no larger than `max_bytes`."""
    if path.exists() and not path.is_file():
        # Opening a pipe would wait for ever.
        raise error("this is no regular file", file=path)
    with path.open("rb") as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise error(
            f"this file is larger than {max_bytes // MEBIBYTE} MiB, which no file of its kind is",
            file=path,
            remedy="check its content",
        )
    return data


def read_text(path: Path, *, max_bytes: int, error: type[TapemillError]) -> str:
    """Read UTF-8 text, with or without a byte order mark, and without NUL."""
    data = read_bytes(path, max_bytes=max_bytes, error=error)
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
    """Raise `error` for UTF-16, and for NUL bytes. Other wrong bytes may pass."""
    if data.startswith(tuple(UTF16_MARKS)):
        raise error("this file is UTF-16", file=path, remedy="save it as UTF-8 (a choice of the editor)")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise error(f"line {line}: a NUL byte, so this is no text", file=path, remedy="check its content")


def read_json(path: Path, *, error: type[TapemillError], remedy: str) -> dict[str, Any]:
    """Read a record that a job wrote: one JSON object."""
    try:
        values = json.loads(read_text(path, max_bytes=MAX_RECORD_BYTES, error=error))
    except (ValueError, RecursionError) as wrong:
        raise error(f"this record is damaged: {_first_line(wrong)}", file=path, remedy=remedy) from wrong
    if not isinstance(values, dict):
        raise error("this record is damaged: it is no object", file=path, remedy=remedy)
    return values


def parse_yaml(text: str) -> Any:
    """Parse YAML of plain values. Raises ValueError with line and reason for anything else.

    Aliases, with which a few lines can make billions of values, are refused, as are tags, deep nesting and duplicate
    keys.
    """
    try:
        _check_events(text)
        return yaml.load(text, _Loader)  # noqa: S506  it is a safe loader
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"{where}{wrong.problem or wrong.context}") from wrong
    # Numbers and dates are converted without a check: `2024-13-01`, a number of 5000 digits.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as wrong:
        raise ValueError(_first_line(wrong)) from wrong


def _check_events(text: str) -> None:
    """Raise ValueError for aliases, tags and deep nesting before values are built. The parser does not recurse."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        mark = event.start_mark
        line = 0 if mark is None else mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line}: aliases (*{event.anchor}) are not allowed, write the values out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ValueError(f"line {line}: tags ({tag}) are not allowed, write plain values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"line {line}: nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check_size(values: Any, what: str, error: type[TapemillError]) -> None:
    """Raise `error` if there are too many values, or they are nested too deep, whatever they were read from.

    A value that aliases repeat counts as often as it is repeated, as walking through it takes that long.
    """
    remaining = MAX_VALUES
    pending: list[tuple[Any, int]] = [(values, 0)]
    while pending:
        value, depth = pending.pop()
        inner: Sequence[Any] = ()
        if isinstance(value, Mapping):
            inner = list(value.values())
        elif isinstance(value, list | tuple):
            inner = value
        remaining -= len(inner)
        if remaining < 0 or depth > MAX_DEPTH:
            raise error(
                f"{what} has more than {MAX_VALUES} values, or is nested more than {MAX_DEPTH} deep",
                remedy="look for aliases (*name) that repeat themselves many times",
            )
        pending.extend((item, depth + 1) for item in inner)


def _first_line(wrong: Exception) -> str:
    return (str(wrong).strip() or type(wrong).__name__).splitlines()[0][:200]
