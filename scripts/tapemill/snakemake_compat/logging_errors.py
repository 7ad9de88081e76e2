"""Lines of the terminal that say nothing: tracebacks of a log handler, and errors of jobs that were interrupted.

Upstream: docs/upstream/missing-log.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable


def silence_logging_errors() -> None:
    """Drop a line that cannot be logged (logging.raiseExceptions, as Python's manual advises for production).

    The terminal's writer reads the log of each job that failed, in a thread of its own. By then the log may be
    gone, for the next attempt or as the job was killed before it had one, and the writer's traceback would be shown.
    """
    logging.raiseExceptions = False


def hide_interrupted_jobs(is_stopping: Callable[[], bool]) -> None:
    """Leave the errors of jobs out of the log from the moment that the run is asked to stop.

    A job that a signal ended is a failed job to Snakemake (9.27.1): it prints the whole log of each, and that it tries
    to restart it, which it does not. Jobs that did fail are in the summary of the run.
    """
    from snakemake.logging import logger
    from snakemake_interface_logger_plugins.common import LogEvent

    def is_of_interest(record: logging.LogRecord) -> bool:
        if not is_stopping():
            return True
        is_error = getattr(record, "event", None) in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR)
        return not is_error and not record.getMessage().startswith("Trying to restart job")

    logger.addFilter(is_of_interest)
