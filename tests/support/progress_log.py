"""What work tells on its way (`tapemill.core.progress`), as the log records that carry it."""

from tapemill.core import progress


def tell_all(monkeypatch, caplog):
    """Have every frame told of, and all of it kept."""
    monkeypatch.setattr(progress, "REPORT_INTERVAL_S", 0.0)
    monkeypatch.setattr(progress, "REPORT_INTERVAL_DIVISOR", 1_000_000_000)
    caplog.set_level("INFO")


def progressed(caplog):
    """Each word on how far it is."""
    return [record.job_progress for record in caplog.records if hasattr(record, "job_progress")]


def facts(caplog):
    """All facts, the last word on each."""
    told = {}
    for record in caplog.records:
        told |= getattr(record, "job_facts", {})
    return told
