"""How findings are told: lines for people, JSON for programs, and secrets in neither."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TextIO

from tapemill.core.errors import printable

from .findings import Finding

SubjectFindings = Iterable[tuple[str, Finding]]

# Names of variables, options and parameters whose values are nobody's business.
SENSITIVE_NAME: Final = (
    r"(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
)
_SECRET_NAME: Final = re.compile(SENSITIVE_NAME, re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    rf"([\w.-]*{SENSITIVE_NAME}[\w.-]*['\"]?\s*[=:]\s*|--[\w-]*{SENSITIVE_NAME}[\w-]*\s+)(\S+)", re.IGNORECASE
)
# Of an address: who asks, and what is behind the question mark, which is where signed links carry their keys.
_ADDRESS: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)([^\s/@'\"]+@)?([^\s?#'\"]*)([?#][^\s'\"]*)?", re.IGNORECASE)
HIDDEN: Final = "…"
# A shorter value is found by chance in any text.
SHORTEST_SECRET: Final = 6


def redact(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text without passwords and keys: of addresses, of what is assigned to such names, and of the environment."""
    for name, value in environ.items():
        if len(value) >= SHORTEST_SECRET and _SECRET_NAME.search(name):
            text = text.replace(value, HIDDEN)
    text = _ADDRESS.sub(_plain_address, text)
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)


def _plain_address(found: re.Match[str]) -> str:
    scheme, user, rest, question = found.groups()
    return scheme + (f"{HIDDEN}@" if user else "") + rest + (f"{question[0]}{HIDDEN}" if question else "")


def print_findings(found: SubjectFindings, stream: TextIO) -> int:
    """Write the findings as they come, and return the exit code: 1 if there is an error."""
    counted = {"ok": 0, "warning": 0, "error": 0}
    for _, finding in found:
        counted[finding.level] += 1
        for line in _lines(finding):
            # A terminal may know fewer letters than a file name has.
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    stream.write(f"\n{_conclusion(counted)}\n")
    return 1 if counted["error"] else 0


def print_json(found: SubjectFindings, stream: TextIO) -> int:
    """Write all findings as one object, and return the exit code."""
    findings = [{"subject": subject, **_plain(finding)} for subject, finding in found]
    errors = sum(finding["level"] == "error" for finding in findings)
    warnings = sum(finding["level"] == "warning" for finding in findings)
    json.dump({"findings": findings, "errors": errors, "warnings": warnings}, stream, indent=2)
    stream.write("\n")
    return 1 if errors else 0


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.level:8}{_clean(finding.title)}"
    for name, value in finding.facts:
        yield f"        {name:14}{_clean(value)}"
    if finding.remedy is not None:
        yield f"        what to do: {_clean(finding.remedy)}"


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "title": _clean(finding.title),
        "facts": [[name, _clean(value)] for name, value in finding.facts],
        "remedy": None if finding.remedy is None else _clean(finding.remedy),
    }


def _clean(text: str) -> str:
    return printable(redact(text))


def _conclusion(counted: Mapping[str, int]) -> str:
    """The last line."""
    errors, warnings = counted["error"], counted["warning"]
    aside = f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else ""
    if errors:
        return f"{errors} error{'s' if errors != 1 else ''}{aside}: a run would fail"
    return f"nothing found that a run would fail for{aside}"
