"""JSON text of a provenance: objects over several lines, each entry of a list, such as a scene, on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Keys that stand first in a line, to be found by eye.
FIRST: Final = ("scene", "start_frame", "stop_frame")


def format_json(value: Any) -> str:
    """Format JSON values, the same text for the same values: other keys than those in `FIRST` are sorted."""
    return _block(value, "\n") + "\n"


def _block(value: Any, margin: str) -> str:
    inner = f"{margin}  "
    if isinstance(value, Mapping) and value:
        members = (f"{_line(key)}: {_block(value[key], inner)}" for key in sorted(value))
        return "{" + inner + f",{inner}".join(members) + margin + "}"
    if isinstance(value, list) and value:
        return "[" + inner + f",{inner}".join(map(_line, value)) + margin + "]"
    return _line(value)


def _line(value: Any) -> str:
    return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":"))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in _keys(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _keys(value: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in FIRST if key in value)
    yield from (key for key in sorted(value) if key not in FIRST)
