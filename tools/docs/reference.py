"""Reference tables of config/README.md, generated from the schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapemill.config.schema import schema
from tapemill.enhance.scene_overrides import KEY_COLUMNS, TAPE_KEYS


def reference() -> str:
    """Render a list of all tables, then the tables: the sheet, the settings by section, the registry of models."""
    tables = list(_tables())
    titles = [line.removeprefix("### ") for line in tables if line.startswith("### ")]
    return "\n".join([" ·\n".join(f"[{title}](#{_anchor(title)})" for title in titles), "", *tables])


def _anchor(title: str) -> str:
    """Name of a heading in links, as Markdown viewers form it."""
    return title.lower().replace("`", "").replace(" ", "-")


def _tables() -> list[str]:
    lines: list[str] = ["### Columns of the tape sheet", ""]
    lines += _table("column", schema("tapes")["properties"])
    properties: Mapping[str, Any] = schema("config")["properties"]
    lines += ["", "### Settings outside the sections", ""]
    lines += _table("key", {key: rule for key, rule in properties.items() if rule.get("type") != "object"})
    for section, rule in properties.items():
        if rule.get("type") == "object":
            lines += ["", f"### Section `{section}`", "", rule["description"].strip(), ""]
            lines += _table("key", rule["properties"])
    lines += ["", "### Columns of the table of scenes", "", _columns(properties["enhance"]["properties"])]
    entry: Mapping[str, Any] = schema("models")["additionalProperties"]
    lines += ["", "### Entries of the registry of models", ""]
    required = entry["required"]
    lines += _table("key", {k: v if k in required else {"default": ""} | v for k, v in entry["properties"].items()})
    return lines


def _columns(enhance: Mapping[str, Any]) -> str:
    own = ", ".join(f"`{key}`" for key in enhance if key not in TAPE_KEYS)
    return f"{', '.join(f'`{name}`' for name in KEY_COLUMNS)}, and these settings of the section `enhance`: {own}."


def _table(first: str, rules: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {first} | default | allowed | what it does |"
    yield "|---|---|---|---|"
    for key, rule in rules.items():
        default = "required" if "default" not in rule else f"`{_word(rule['default'])}`"
        description = " ".join(rule["description"].split()).replace("|", "\\|")
        yield f"| `{key}` | {default} | {_allowed(rule)} | {description} |"


def _allowed(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{_word(value)}`" for value in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    names = {"null": "empty", "boolean": "true or false", "array": "list"}
    text = " or ".join(str(names.get(kind, kind)) for kind in kinds)
    text += _range(rule.get("minimum"), rule.get("maximum"))
    text += _range(None, rule.get("maxLength"), " characters")
    if rule.get("minLength") or rule.get("minItems"):
        text += ", not empty"
    if "multipleOf" in rule:
        text += f", a multiple of {rule['multipleOf']}"
    return text + (f", each {_allowed(rule['items'])}" if rule.get("items") else "")


def _range(lowest: float | None, highest: float | None, what: str = "") -> str:
    """Range in words, with a comma before it."""
    if lowest is None and highest is None:
        return ""
    if highest is None:
        return f", at least {lowest}{what}"
    return f", {lowest} to {highest}{what}" if lowest is not None else f", up to {highest}{what}"


def _word(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
