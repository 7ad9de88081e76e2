"""Runtime folders of the user: leases, sockets and the list of GPUs, valid until the next boot.

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
    """Return the user's runtime folder for Tapemill, created if missing. Raises SetupError if others may access it."""
    # The same folder without the variable (cron, ssh with a command): leases must be shared.
    usual = Path(f"/run/user/{os.getuid()}")
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or usual)
    folder = base / "tapemill"
    if base == usual and not usual.is_dir():
        folder = Path(f"/tmp/tapemill-{os.getuid()}")  # noqa: S108  checked below
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise SetupError(
            "this folder must belong to you only, or others could give work to your workers",
            file=folder,
            remedy="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    return folder


def allocation(environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the Slurm job that this process belongs to, such as slurm4711; empty outside of Slurm."""
    number = environ.get("SLURM_JOB_ID", "")
    return f"slurm{number}" if number.isdecimal() else ""


def lease_folder() -> Path:
    """Return the folder of GPU leases, created if missing.

    Slurm allocates GPUs itself, and may number those of each job from 0: a number means another GPU in another job.
    """
    name = allocation()
    folder = runtime_folder() / name
    if name and not folder.exists():
        _remove_old_allocations(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _remove_old_allocations(base: Path) -> None:
    """Remove folders of Slurm jobs that are older than a week: such a job asks for no lease any more."""
    for other in base.glob("slurm*"):
        if time.time() - other.stat().st_mtime > WEEK_S:
            shutil.rmtree(other, ignore_errors=True)


def run_folder(run: RunId) -> Path:
    """Return the folder of a run's worker sockets, created if missing. Folders of ended runs are removed first."""
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
