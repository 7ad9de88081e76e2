"""Frozen dataclasses to and from JSON values, for the records that jobs write.

A key is the name of a field. Fields are of str, int, float, bool, None, Literal, Fraction ("30000/1001" in JSON),
tuple, Mapping with text keys, Any, other dataclasses, and unions of them. A field without a default is required. A
field with a plain default may be missing in a record of an older version, but is always written. An `optional` field is
written only if it differs from its default. Keys that no field has are ignored, or kept in the field that
`unknown_keys` makes.

`tools/docs/record_schemas.py` makes JSON schemas of these dataclasses.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar, Union, get_args, get_origin

from tapemill.core.errors import TapemillError
from tapemill.core.timing import format_fraction

OPTIONAL: Final = "optional"
UNKNOWN: Final = "unknown_keys"
MAX_QUOTE_CHARACTERS: Final = 60
NAMES: Final[Mapping[Any, str]] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}

T = TypeVar("T")
_FIELDS: Final[dict[Any, tuple[tuple[dataclasses.Field[Any], Any], ...]]] = {}


@dataclasses.dataclass(frozen=True)
class Constraint:
    """Annotation of a field for the JSON schema, which this module does not check."""

    pattern: str | None = None
    format: str | None = None
    minimum: int | None = None


class RecordError(ValueError):
    """JSON values that do not fit the dataclass. The text names the field: "scenes[3].start_frame is missing"."""


class JsonRecord:
    """Base of dataclasses that are stored as JSON."""

    written_properties: ClassVar[tuple[str, ...]] = ()
    """Names of properties that are written for readers of the file, and ignored when it is read."""

    def to_plain(self) -> dict[str, Any]:
        """Return plain values that JSON and Snakemake's params can hold."""
        return to_plain(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """Build from the output of `to_plain`. Raises RecordError."""
        return from_plain(cls, values)


def optional(default: Any = None) -> Any:
    """Make a dataclass field that is written only if it differs from its default."""
    return dataclasses.field(default=default, metadata={OPTIONAL: True})


def optional_mapping() -> Any:
    """Make a dataclass field for a mapping that is written only if it is not empty."""
    return dataclasses.field(default_factory=dict, metadata={OPTIONAL: True})


def unknown_keys() -> Any:
    """Make a dataclass field for the keys of other versions, which are written as they were read."""
    return dataclasses.field(default_factory=dict, metadata={UNKNOWN: True})


def to_plain(record: Any) -> dict[str, Any]:
    """Return a dataclass as JSON values, in the order of its fields."""
    plain: dict[str, Any] = {}
    for field, _ in fields_of(type(record)):
        value = getattr(record, field.name)
        if field.metadata.get(UNKNOWN):
            plain |= value
        elif not (field.metadata.get(OPTIONAL) and value == _default(field)):
            plain[field.name] = plain_value(value)
    return plain | {name: plain_value(getattr(record, name)) for name in getattr(record, "written_properties", ())}


def from_plain(cls: type[T], values: Any, path: str = "") -> T:
    """Build a dataclass from JSON values. `path` is prefixed to the names of fields in errors. Raises RecordError."""
    if not isinstance(values, Mapping):
        raise RecordError(f"{path or 'the record'} is {_quoted(values)}, not an object")
    arguments: dict[str, Any] = {}
    known = set(getattr(cls, "written_properties", ()))
    for field, hint in fields_of(cls):
        where = f"{path}.{field.name}" if path else field.name
        known.add(field.name)
        if field.metadata.get(UNKNOWN):
            continue
        if field.name in values:
            arguments[field.name] = _typed(hint, values[field.name], where)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise RecordError(f"{where} is missing")
    for field, _ in fields_of(cls):
        if field.metadata.get(UNKNOWN):
            arguments[field.name] = {key: value for key, value in values.items() if key not in known}
    return cls(**arguments)


def read_record(cls: type[T], path: Path, *, error: type[TapemillError], remedy: str) -> T:
    """Read a JSON file as a dataclass.

    Raises `error`, naming file, field and remedy, if it is damaged, and FileNotFoundError if there is none.
    """
    # Imported here: it needs PyYAML, and the doctor checks machines without any package.
    from . import untrusted_text

    values = untrusted_text.read_json(path, error=error, remedy=remedy)
    try:
        return from_plain(cls, values)
    except RecordError as wrong:
        raise error(f"this record is damaged: {wrong}", file=path, remedy=remedy) from wrong


def fields_of(cls: Any) -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """Return the fields of a dataclass with their evaluated types, `Annotated` included."""
    if cls not in _FIELDS:
        hints = typing.get_type_hints(cls, include_extras=True)
        _FIELDS[cls] = tuple((field, hints[field.name]) for field in dataclasses.fields(cls))
    return _FIELDS[cls]


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def plain_value(value: Any) -> Any:
    """Return a value as JSON values: dataclasses, fractions and tuples inside it are converted."""
    if dataclasses.is_dataclass(value):
        return to_plain(value)
    if isinstance(value, Fraction):
        return format_fraction(value)
    if isinstance(value, Mapping):
        return {key: plain_value(each) for key, each in value.items()}
    return [plain_value(each) for each in value] if isinstance(value, list | tuple) else value


def _typed(hint: Any, value: Any, path: str) -> Any:
    """Convert a JSON value to the type of a field."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _typed(get_args(hint)[0], value, path)
    if origin is not None:
        return _CONVERTERS[origin](get_args(hint), value, path)
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, path)
    return value if hint is Any else _scalar(hint, value, path)


def _fraction(value: Any, path: str) -> Fraction:
    try:
        return Fraction(value)
    except (TypeError, ValueError, ArithmeticError) as wrong:
        raise RecordError(f"{path} is {_quoted(value)}, not a fraction") from wrong


def _member(hints: tuple[Any, ...], value: Any, path: str) -> Any:
    """Convert to a member of a union; an error is that of the first one that is not null."""
    if value is None and type(None) in hints:
        return None
    first, *others = (hint for hint in hints if hint is not type(None))
    for hint in others:
        try:
            return _typed(hint, value, path)
        except RecordError:
            continue
    return _typed(first, value, path)


def _choice(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    if value not in choices or isinstance(value, bool):
        raise RecordError(f"{path} is {_quoted(value)}, not {' or '.join(map(str, choices))}")
    return value


def _tuple(hints: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise RecordError(f"{path} is {_quoted(value)}, not a list")
    if hints[-1] is Ellipsis:
        return tuple(_typed(hints[0], each, f"{path}[{index}]") for index, each in enumerate(value))
    if len(value) != len(hints):
        raise RecordError(f"{path} has {len(value)} entries, not {len(hints)}")
    return tuple(_items(hints, value, path))


def _items(hints: tuple[Any, ...], value: Any, path: str) -> Iterator[Any]:
    for index, (hint, each) in enumerate(zip(hints, value, strict=True)):
        yield _typed(hint, each, f"{path}[{index}]")


def _mapping(hints: tuple[Any, ...], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RecordError(f"{path} is {_quoted(value)}, not an object")
    return {key: _typed(hints[1], each, f"{path}.{key}") for key, each in value.items()}


_CONVERTERS: Final[Mapping[Any, Callable[[tuple[Any, ...], Any, str], Any]]] = {
    Union: _member,
    types.UnionType: _member,
    Literal: _choice,
    tuple: _tuple,
    Mapping: _mapping,
}


def _scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is Fraction:
        return _fraction(value, path)
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise RecordError(f"{path} is {_quoted(value)}, not {NAMES[hint]}")
    return value


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_QUOTE_CHARACTERS else f"{text[:MAX_QUOTE_CHARACTERS]}…"
