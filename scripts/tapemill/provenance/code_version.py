"""Version of Tapemill: number, git commit, and a hash of the code that makes tapes."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapemill.media.ffmpeg.version import tapemill_version

LOG = logging.getLogger("tapemill.provenance")

ROOT = Path(__file__).parents[3]
# Code that a tape depends on. Not config/config.yaml, the tables and the lists of models, which everybody changes:
# their values are recorded.
CODE: Final = ("Snakefile", "rules", "scripts", "config/schemas")
TIMEOUT_S = 60


@dataclass(frozen=True)
class CodeVersion:
    """State of the code."""

    version: str
    code_sha256: str
    """Of all files of `CODE`, with their names; does not need git."""
    commit: str | None
    """None where this is no git checkout, or git is not installed."""
    changed: tuple[str, ...] | None
    """Files of `CODE` that differ from the commit, new ones included; None without a commit."""


def code_version(root: Path = ROOT) -> CodeVersion:
    """Determine the version of the code in `root`. Nothing is written, no lock taken."""
    commit, changed = _commit(root)
    return CodeVersion(tapemill_version(), _code_sha256(root), commit, changed)


def _code_sha256(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_code(root)):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _code(root: Path) -> Iterator[Path]:
    for name in CODE:
        path = root / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _commit(root: Path) -> tuple[str | None, tuple[str, ...] | None]:
    top = _git(root, "rev-parse", "--show-toplevel")
    # Somebody's home may be a repository, with Tapemill unpacked in it.
    if top is None or Path(top.strip()).resolve() != root.resolve():
        return None, None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    state = _git(root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--", *CODE)
    if commit is None or state is None:
        return None, None
    return commit.strip(), tuple(sorted(entry[3:] for entry in state.split("\0") if entry))


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None if it fails."""
    # Without the lock, so that nobody who uses git at this moment is disturbed.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607  the one on the user's path
            env=environment,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        LOG.info("git gives no information on %s: %s", root, error)
        return None
    return done.stdout.decode("utf-8", "replace")
