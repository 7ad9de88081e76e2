"""Output of findings: lines for people, JSON for programs, secrets in neither."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TextIO

from tapemill.core.errors import printable

from .findings import Finding

SubjectFindings = Iterable[tuple[str, Finding]]

# Names of variables, options and parameters whose values are secret.
SENSITIVE_NAME: Final = (
    r"(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
)
_SECRET_NAME: Final = re.compile(SENSITIVE_NAME, re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    rf"([\w.-]*{SENSITIVE_NAME}[\w.-]*['\"]?\s*[=:]\s*|--[\w-]*{SENSITIVE_NAME}[\w-]*\s+)(\S+)", re.IGNORECASE
)
# Of a URL: the user, and the query, where signed links carry their keys.
_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)([^\s/@'\"]+@)?([^\s?#'\"]*)([?#][^\s'\"]*)?", re.IGNORECASE)
HIDDEN: Final = "…"
# Shorter values occur in any text by chance.
SHORTEST_SECRET: Final = 6


def redact(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Remove passwords and keys: from URLs, assignments to such names, and values of the environment."""
    for name, value in environ.items():
        if len(value) >= SHORTEST_SECRET and _SECRET_NAME.search(name):
            text = text.replace(value, HIDDEN)
    text = _URL.sub(_redact_url, text)
    return _ASSIGNED.sub(rf"\g<1>{HIDDEN}", text)


def _redact_url(found: re.Match[str]) -> str:
    scheme, user, rest, query = found.groups()
    return scheme + (f"{HIDDEN}@" if user else "") + rest + (f"{query[0]}{HIDDEN}" if query else "")


def print_findings(found: SubjectFindings, stream: TextIO) -> int:
    """Print the findings as they come, and return the exit code: 1 if there is an error."""
    counts = {"ok": 0, "warning": 0, "error": 0}
    for _, finding in found:
        counts[finding.level] += 1
        for line in _lines(finding):
            # The terminal's encoding may lack characters of a file name.
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    stream.write(f"\n{_summary(counts)}\n")
    return 1 if counts["error"] else 0


def print_json(found: SubjectFindings, stream: TextIO) -> int:
    """Print all findings as one JSON object, and return the exit code."""
    findings = [{"subject": subject, **_as_json(finding)} for subject, finding in found]
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


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "title": _clean(finding.title),
        "facts": [[name, _clean(value)] for name, value in finding.facts],
        "remedy": None if finding.remedy is None else _clean(finding.remedy),
    }


def _clean(text: str) -> str:
    return printable(redact(text))


def _summary(counts: Mapping[str, int]) -> str:
    """Last line of the output."""
    errors, warnings = counts["error"], counts["warning"]
    warning_count = f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else ""
    if errors:
        return f"{errors} error{'s' if errors != 1 else ''}{warning_count}: a run would fail"
    return f"no errors found{warning_count}"
