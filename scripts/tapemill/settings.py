"""The config and the tape sheet, validated against their schemas before anything else happens.

The schema is the one source of keys, defaults, units and ranges; stages get their section as a plain mapping.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from . import bounded
from .errors import ConfigError
from .tables import did_you_mean, read_table
from .timing import parse_fraction

SCHEMAS = Path(__file__).parents[2] / "config" / "schemas"
# Of two slashes a path keeps one.
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
LONGEST_QUOTE = 200  # characters of a wrong value that a message repeats


def _is_number(_: object, value: object) -> bool:
    # NaN would pass every minimum and maximum.
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124


_CHECKER = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number)
VALIDATOR = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, type_checker=_CHECKER
)


@dataclass(frozen=True)
class Tape:
    """One row of the sheet. Text columns are empty where the sheet says nothing."""

    tape: str
    source: Path
    title: str
    date: str
    language: str
    """ISO 639-1 code, or "auto"."""
    field_order: str
    aspect: str

    @property
    def display_aspect(self) -> Fraction | None:
        """The picture's shape if the sheet prescribes it."""
        return None if self.aspect == "auto" else parse_fraction(self.aspect)


@cache
def schema(name: str) -> dict[str, Any]:
    """A schema of config/schemas, by name without suffix."""
    with (SCHEMAS / f"{name}.schema.yaml").open(encoding="utf-8") as stream:
        return dict(yaml.safe_load(stream))


def load_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every default filled in. Raises ConfigError for the first key or value that cannot be right."""
    bounded.check_size(values, "the config", ConfigError)
    complete: dict[str, Any] = with_defaults(values, schema("config"))
    validate(complete, schema("config"), "config")
    return complete


def with_defaults(values: Any, rules: Mapping[str, Any]) -> Any:
    """A copy of `values` with the schema's defaults for keys that are missing; sections are filled recursively."""
    if not isinstance(values, Mapping):
        return values
    filled = copy.deepcopy(dict(values))
    for key, rule in rules.get("properties", {}).items():
        if rule.get("type") == "object":
            # A section that is there but empty reads as null in YAML.
            section = filled.get(key)
            filled[key] = with_defaults({} if section is None else section, rule)
        elif "default" in rule and key not in filled:
            filled[key] = copy.deepcopy(rule["default"])
    return filled


def check_values(section: str, values: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for a value that the config could not have in this section."""
    rules = schema("config")["properties"][section]
    validate(dict(values), rules, where)


def load_sheet(path: Path, producible: Sequence[str] = ()) -> dict[str, Tape]:
    """Read the tape sheet: tab separated, UTF-8, no quoting. Tapes by id, in the sheet's order.

    `producible` are sources that a rule can make, so they may be missing. Raises ConfigError naming the row.
    """
    tapes: dict[str, Tape] = {}
    for where, tape in read_sheet(path):
        if str(tape.source) not in producible:
            check_source(tape, where)
        tapes[tape.tape] = tape
    return tapes


def read_sheet(path: Path) -> Iterator[tuple[str, Tape]]:
    """The rows of the sheet, each with its place for messages. Sources are not looked at.

    Raises ConfigError naming the row.
    """
    columns = list(schema("tapes")["properties"])
    before: set[str] = set()
    for number, row in read_table(path, columns, required=("tape", "source"), verbatim=("source",)):
        where = f"row {number} of {path}"
        # An empty cell means the column's default, like a column that is not there at all.
        values = with_defaults({key: value for key, value in row.items() if value}, schema("tapes"))
        validate(values, schema("tapes"), where)
        _check_id(values["tape"], before, where)
        before.add(values["tape"])
        values["title"] = values["title"] or values["tape"]
        yield where, Tape(source=Path(values.pop("source")), **values)


def _check_id(tape: str, before: Collection[str], where: str) -> None:
    if tape in before:
        raise ConfigError(f"{where}: the tape id {tape!r} is used twice", remedy="give each tape its own")
    alike = next((other for other in before if other.lower() == tape.lower()), None)
    if alike is not None:
        raise ConfigError(
            f"{where}: the tape ids {alike!r} and {tape!r} differ in capitals alone",
            remedy="give them clearly different ids: on disks of other systems their results would be in one folder",
        )


def check_source(tape: Tape, where: str) -> None:
    """Raise ConfigError unless the tape's source is there, and a file or a folder."""
    source, name = tape.source, tape.tape
    try:
        there, usable = source.exists(), source.is_file() or source.is_dir()
    except OSError as error:
        raise ConfigError(
            f"{where}: the source of tape {name!r} cannot be looked at: {error.strerror}",
            file=source,
            remedy="see who may read the folders that lead to it (`namei -l`)",
        ) from error
    if not there:
        remedy = "correct the column `source`; a relative path counts from the folder you run snakemake in"
        if ADDRESS.match(str(source)):
            remedy = "an address is no file: mount what is there, or copy it, and name the file (docs/storage.md)"
        raise ConfigError(f"{where}: the source of tape {name!r} does not exist", file=source, remedy=remedy)
    if not usable:
        raise ConfigError(
            f"{where}: the source of tape {name!r} is neither a file nor a folder",
            file=source,
            remedy="a pipe or a device is read by no two jobs alike: record it into a file first",
        )


def validate(values: Any, rules: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for the first thing in `values`, found at `where`, that a schema does not allow."""
    error = jsonschema.exceptions.best_match(VALIDATOR(rules).iter_errors(values))
    if error is not None:
        raise ConfigError(
            _explain(error, where), remedy="config/README.md lists all keys, columns and what they may be"
        )


def _explain(error: jsonschema.ValidationError, where: str) -> str:
    """One line that names the key, the value and what is allowed."""
    path = ".".join(str(part) for part in error.absolute_path)
    place = f"{where}: {path}" if path else where
    rule: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(rule["properties"])
        unknown = next(key for key in dict(error.instance) if key not in known)  # type: ignore[arg-type]
        return f"{place}: unknown key {_short(repr(unknown))}{did_you_mean(str(unknown), known)}"
    hint = f" ({rule['description'].strip()})" if "description" in rule else ""
    if error.validator == "enum":
        choices = [str(choice) for choice in rule["enum"]]
        return f"{place}: {_short(repr(error.instance))} is not one of {', '.join(choices)}{hint}"
    if error.validator == "required":
        missing = re.findall(r"'([^']+)' is a required", error.message)
        return f"{place}: {', '.join(missing)} must not be empty"
    return f"{place}: {_short(error.message)}{hint}"


def _short(text: str) -> str:
    """The beginning and the end of what somebody may have written by the megabyte."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE // 2]} … {text[-LONGEST_QUOTE // 2 :]}"
