"""Where lanes keep what lives no longer than the machine is on: leases, sockets, the list of cards.

`$XDG_RUNTIME_DIR` (XDG Base Directory Specification) belongs to the user and is empty after a restart.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from tapemill.core.errors import SetupError

from .liveness import RunId, run_of

WEEK_S = 7 * 24 * 3600


def runtime_folder() -> Path:
    """The user's folder for Tapemill, made if need be. Raises SetupError if it is somebody else's."""
    # Without the variable (cron, ssh with a command) the same folder as with it: leases must meet.
    usual = Path(f"/run/user/{os.getuid()}")
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or usual)
    folder = base / "tapemill"
    if base == usual and not usual.is_dir():
        folder = Path(f"/tmp/tapemill-{os.getuid()}")  # noqa: S108  checked below
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SetupError(
            "this folder must be yours alone, or others could hand work to your workers",
            file=folder,
            remedy="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    return folder


def allocation(environ: Mapping[str, str] = os.environ) -> str:
    """Name of the job of Slurm that this process belongs to, such as slurm4711; empty outside of Slurm."""
    number = environ.get("SLURM_JOB_ID", "")
    return f"slurm{number}" if number.isdecimal() else ""


def lease_folder() -> Path:
    """Where the leases of cards are.

    Slurm leases cards itself, and may count those of each job from 0: the same number is another card for another job.
    """
    name = allocation()
    folder = runtime_folder() / name
    if name and not folder.exists():
        _remove_old_allocations(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _remove_old_allocations(base: Path) -> None:
    """Remove what jobs left a week ago: no job that is older asks for a lease any more."""
    for other in base.glob("slurm*"):
        if time.time() - other.stat().st_mtime > WEEK_S:
            shutil.rmtree(other, ignore_errors=True)


def run_folder(run: RunId) -> Path:
    """The folder of a run, for its workers' sockets. Folders of runs that are gone are removed on the way."""
    base = runtime_folder()
    folder = base / f"run-{run.id}"
    if not folder.exists():
        for other in base.glob("run-*"):
            pid = other.name.split("-")[1]
            known = run_of(int(pid)) if pid.isdecimal() else None
            if known is None or other.name != f"run-{known.id}":
                shutil.rmtree(other, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
