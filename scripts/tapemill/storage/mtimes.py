"""Modification times in the future, left behind by a clock that was set back.

Snakemake fails a job whose output is older than any of its inputs. Results are set to the present before they are
used; a capture belongs to the user and is only reported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.core.result_paths import RESULTS

# File systems have coarser times than the clock, and network ones use the server's.
TOLERANCE_S = 2.0


def clamp_future_mtimes(inputs: Iterable[str]) -> None:
    """Set modification times of results that lie in the future to the present."""
    now = time.time()
    for path in map(Path, inputs):
        with suppress(OSError):
            if path.parts[:1] == RESULTS.parts and path.stat().st_mtime > now:
                os.utime(path, (now, now))


def reject_future_mtimes(files: Iterable[Path]) -> None:
    """Raise InputError for a capture or model whose file time lies in the future."""
    now = time.time()
    for path in files:
        with suppress(FileNotFoundError):
            changed = path.stat().st_mtime
            if changed > now + TOLERANCE_S:
                raise InputError(
                    f"the time of this file lies in the future, by {(changed - now) / 3600:.1f} hours; nothing that is"
                    " made from it could be newer",
                    file=path,
                    remedy="set this machine's clock if it is wrong (`date`), otherwise the file's time: `touch` it;"
                    " nothing is made again for that",
                )
