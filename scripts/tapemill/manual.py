"""The reference tables of config/README.md, written from the schemas so that they cannot disagree with them.

`python -m tapemill.manual config/README.md` rewrites the part between the two markers; a test fails if it is old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .settings import schema

BEGIN = "<!-- reference: written by `make docs` from config/schemas, do not edit -->"
END = "<!-- end of reference -->"


def render(text: str) -> str:
    """The manual's text with its reference part up to date. Raises ValueError if a marker is missing."""
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    if not old:
        raise ValueError(f"the manual lacks the markers {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{_reference()}\n{END}{after}"


def _reference() -> str:
    lines: list[str] = ["### Columns of the tape sheet", ""]
    lines += _table("column", schema("tapes")["properties"])
    properties: Mapping[str, Any] = schema("config")["properties"]
    lines += ["", "### Settings outside the sections", ""]
    lines += _table("key", {key: rule for key, rule in properties.items() if rule.get("type") != "object"})
    for section, rule in properties.items():
        if rule.get("type") == "object":
            lines += ["", f"### Section `{section}`", "", rule["description"].strip(), ""]
            lines += _table("key", rule["properties"])
    entry: Mapping[str, Any] = schema("models")["additionalProperties"]
    lines += ["", "### Entries of the registry of models", ""]
    required = entry["required"]
    lines += _table("key", {k: v if k in required else {"default": ""} | v for k, v in entry["properties"].items()})
    return "\n".join([*lines, ""])


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
    names = {"null": "empty", "boolean": "true or false"}
    words = [str(names.get(kind, kind)) for kind in kinds]
    text = " or ".join(words)
    if "minimum" in rule and "maximum" in rule:
        text += f", {rule['minimum']} to {rule['maximum']}"
    return text


def _word(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    manual = Path(sys.argv[1])
    manual.write_text(render(manual.read_text(encoding="utf-8")), encoding="utf-8")
