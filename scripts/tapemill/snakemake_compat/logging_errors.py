"""Tracebacks of a log handler that reads a log which is gone (snakemake-logger-plugin-rich 0.5).

Upstream: docs/upstream/missing-log.md.
"""

from __future__ import annotations

import logging


def silence_logging_errors() -> None:
    """Drop a line that cannot be logged (logging.raiseExceptions, as Python's manual advises for production).

    The terminal's writer reads the log of each job that failed, in a thread of its own. By then the log may be
    gone, for the next attempt or as the job was killed before it had one, and the writer's traceback would be shown.
    """
    logging.raiseExceptions = False
