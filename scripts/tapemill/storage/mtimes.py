"""File times from the future, which a clock that was set back leaves behind.

Snakemake ends a job in an error if what it made is older than anything it was made from. Results are brought to the
present before they are used; a capture belongs to somebody else and is only reported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tapemill.core.errors import InputError

RESULTS = "results"
# File systems count coarser than the clock, and network ones by the server's.
TOLERANCE_S = 2.0


def clamp_future_mtimes(inputs: Iterable[str]) -> None:
    """Set results with times from the future to the present. Their order among each other is that of their use."""
    now = time.time()
    for path in map(Path, inputs):
        with suppress(OSError):
            if path.parts[:1] == (RESULTS,) and path.stat().st_mtime > now:
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
