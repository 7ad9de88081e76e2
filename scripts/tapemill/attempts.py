"""What became of earlier attempts of a job in the same run.

Snakemake tries a failed job again without knowing why it failed. A note beside its bookkeeping says: an error that
will not pass is not tried again, and a job that ran out of memory begins one step lower. Notes of earlier runs count
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import files
from .errors import FatalError, OutOfMemory, TapemillError, TransientError

NOTES = Path(".snakemake") / "attempts"


@dataclass(frozen=True)
class Past:
    """The attempts so far."""

    messages: Sequence[str] = ()
    """What each of them failed of."""
    steps_down: int = 0
    """How many steps below what was asked the next attempt has to begin."""
    is_final: bool = False
    """Whether the last error is one that another attempt cannot heal."""
    exit_code: int = 0


def read(run: str | None, log: Path) -> Past:
    """What happened to the job that writes `log`, in the run with this id."""
    try:
        note = json.loads(_note(log).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return Past()
    return Past(**note["past"]) if run is not None and note["run"] == run else Past()


def failed(run: str | None, log: Path, error: TapemillError) -> None:
    """Note a failure."""
    if run is None:
        return
    before = read(run, log)
    past = Past(
        messages=[*before.messages, f"{type(error).__name__}: {error}"],
        steps_down=before.steps_down + isinstance(error, OutOfMemory),
        is_final=not isinstance(error, TransientError),
        exit_code=error.exit_code,
    )
    # The note saves attempts; where it finds no room, the error itself is what counts.
    with suppress(OSError, FatalError):
        files.write_json(_note(log), {"run": run, "past": asdict(past)})


def succeeded(log: Path) -> None:
    """Forget the failures."""
    _note(log).unlink(missing_ok=True)


def _note(log: Path) -> Path:
    """One note for each log, since no two jobs share one."""
    return NOTES / log.with_suffix(".json")
