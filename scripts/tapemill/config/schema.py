"""The config and the tape sheet, validated against their schemas before anything else happens.

The schemas are the only source of keys, defaults, units and ranges; stages get their section as a plain mapping.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

from tapemill.core.errors import ConfigError
from tapemill.storage import untrusted_text
from tapemill.storage.tsv import did_you_mean

SCHEMAS = Path(__file__).parents[3] / "config" / "schemas"
# Old names of keys by section, with the new ones. Both work.
RENAMED_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "disk": {"cut_ahead": "cut_backlog"},
    "lanes": {"limit_least_s": "limit_min_s"},
}
MAX_QUOTE_CHARACTERS = 200  # characters of a wrong value that a message repeats


def _is_number(_: object, value: object) -> bool:
    # NaN would pass every minimum and maximum.
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124


_CHECKER = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number)
VALIDATOR = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, type_checker=_CHECKER
)


@cache
def schema(name: str) -> dict[str, Any]:
    """Load a schema of config/schemas, by name without suffix."""
    with (SCHEMAS / f"{name}.schema.yaml").open(encoding="utf-8") as stream:
        return dict(yaml.safe_load(stream))


def load_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with every default filled in, and with new names for keys that were renamed.

    Raises ConfigError for the first invalid key or value.
    """
    untrusted_text.check_size(values, "the config", ConfigError)
    complete: dict[str, Any] = with_defaults(with_new_names(values), schema("config"))
    validate(complete, schema("config"), "config")
    return complete


def renamed_keys(values: Mapping[str, Any]) -> list[str]:
    """Return a note for each key of a config that has a new name."""
    return [f"config: `{section}: {old}` is called `{section}: {new}` now" for section, old, new in _old_names(values)]


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a config with new names for keys that were renamed. Raises ConfigError for a key with both."""
    renamed = copy.deepcopy(dict(values))
    for section, old, new in _old_names(values):
        if new in renamed[section]:
            raise ConfigError(
                f"config: {section}: {old} and {new} are two names of one key", remedy=f"delete {section}: {old}"
            )
        renamed[section][new] = renamed[section].pop(old)
    return renamed


def _old_names(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield section, old name and new name of each key in the config that was renamed."""
    for section, names in RENAMED_KEYS.items():
        given = values.get(section)
        if isinstance(given, Mapping):
            yield from ((section, old, new) for old, new in names.items() if old in given)


def with_defaults(values: Any, rules: Mapping[str, Any]) -> Any:
    """Return a copy of `values` with the schema's defaults for missing keys; sections are filled recursively."""
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
    """Raise ConfigError for values that are invalid in this section of the config."""
    rules = schema("config")["properties"][section]
    validate(dict(values), rules, where)


def validate(values: Any, rules: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for the first violation of a schema in `values`. `where` names their origin in messages."""
    error = jsonschema.exceptions.best_match(VALIDATOR(rules).iter_errors(values))
    if error is not None:
        raise ConfigError(
            _explain(error, where), remedy="config/README.md lists all keys, columns and what they may be"
        )


def _explain(error: jsonschema.ValidationError, where: str) -> str:
    """Return one line that names the key, the value and what is allowed."""
    path = ".".join(str(part) for part in error.absolute_path)
    location = f"{where}: {path}" if path else where
    rule: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(rule["properties"])
        unknown = next(key for key in dict(error.instance) if key not in known)  # type: ignore[arg-type]
        return f"{location}: unknown key {_short(repr(unknown))}{did_you_mean(str(unknown), known)}"
    hint = f" ({rule['description'].strip()})" if "description" in rule else ""
    if error.validator == "enum":
        choices = [str(choice) for choice in rule["enum"]]
        return f"{location}: {_short(repr(error.instance))} is not one of {', '.join(choices)}{hint}"
    if error.validator == "required":
        missing = re.findall(r"'([^']+)' is a required", error.message)
        return f"{location}: {', '.join(missing)} must not be empty"
    return f"{location}: {_short(error.message)}{hint}"


def _short(text: str) -> str:
    """Shorten a text to its beginning and end: a value may have megabytes."""
    return (
        text
        if len(text) <= MAX_QUOTE_CHARACTERS
        else f"{text[: MAX_QUOTE_CHARACTERS // 2]} … {text[-MAX_QUOTE_CHARACTERS // 2 :]}"
    )
