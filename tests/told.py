"""What work tells on its way (`tapemill.progress`), as the log records that carry it."""


def progressed(caplog):
    """Each word on how far it is."""
    return [record.job_progress for record in caplog.records if hasattr(record, "job_progress")]


def facts(caplog):
    """All facts, the last word on each."""
    told = {}
    for record in caplog.records:
        told |= getattr(record, "job_facts", {})
    return told
