"""What every job script does around its one function call: log, versions, errors, the configured ffmpeg."""

from __future__ import annotations

import logging
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import ffmpeg
from .errors import TapemillError

LOG = logging.getLogger("tapemill")


def run(main: Callable[[Any], None], job: Any) -> None:
    """Run `main(job)` with the rule's log file open; end with the exit code of the error's class if it fails.

    A TapemillError is shown as its message alone, on the terminal and in the log. Anything else is a fault of
    Tapemill, and keeps its traceback.
    """
    _open_log(Path(job.log[0]) if job.log else None)
    LOG.info("rule %s, Python %s on %s", job.rule, platform.python_version(), platform.machine())
    ffmpeg.use(job.config.get("ffmpeg"))
    started = time.monotonic()
    try:
        main(job)
    except TapemillError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        # Snakemake prints the whole script's traceback for an exception; the message is what the operator needs.
        sys.exit(error.exit_code)
    except BaseException:
        LOG.exception("rule %s failed unexpectedly", job.rule)
        raise
    LOG.info("done in %.1f s", time.monotonic() - started)


def _open_log(path: Path | None) -> None:
    """Everything to the log file, warnings and errors to the terminal as well."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    # Of a failed job Snakemake shows the whole log, with the error at its end: once is enough.
    terminal.addFilter(lambda record: path is None or record.levelno < logging.ERROR)
    handlers: list[logging.Handler] = [terminal]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
