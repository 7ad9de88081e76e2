"""Progress that work reports (`tapemill.core.progress`), read from its log records."""

from __future__ import annotations

from typing import Any

import pytest

from tapemill.core import progress


def tell_all(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Make every frame report, and capture all reports."""
    monkeypatch.setattr(progress, "REPORT_INTERVAL_S", 0.0)
    monkeypatch.setattr(progress, "REPORT_INTERVAL_DIVISOR", 1_000_000_000)
    caplog.set_level("INFO")


def progressed(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return all reports of progress."""
    return [record.job_progress for record in caplog.records if hasattr(record, "job_progress")]


def facts(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Return all reported facts, the last value of each."""
    found: dict[str, Any] = {}
    for record in caplog.records:
        found |= getattr(record, "job_facts", {})
    return found
