"""Finished tapes that need not be looked at again: Snakemake has judged them, and nothing has changed since.

To judge a tape of 700 scenes Snakemake makes 2,800 jobs of it, in six seconds and 50 MiB. What it judges by are the
settings, the capture and the files of the results folder; a digest of these, taken before the judgement, tells later
runs whether it would come out the same. Names, sizes and times of files are looked at, nothing is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.storage import atomic

from .tape import DEMO_CAPTURE, TapeState

FOLDER: Final = Path(".snakemake/tapemill/settled")
INCOMPLETE: Final = Path(".snakemake/incomplete")
ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True)
class State:
    """What Snakemake's judgement of a tape rests on, as digests."""

    settings: str
    """Of everything that is no file of the tape: settings, models, rules and the program itself."""
    files: str


def state(lookup: TapeState, settings: Mapping[str, Any]) -> State | None:
    """The state of a tape now. `settings` are all that its jobs depend on besides files, as plain values.

    None for a tape that can have no such state: its capture is missing, or made by a rule.
    """
    if str(lookup.row.source) == DEMO_CAPTURE:
        return None
    try:
        capture = [(str(file), file.stat()) for file in lookup.files]
    except OSError:
        return None
    lines = [_line(name, about) for name, about in capture]
    lines += sorted(_line(name, about) for name, about in _below(str(lookup.paths.folder)))
    return State(_digest(json.dumps(settings, sort_keys=True, default=str)), _digest("\n".join(lines)))


def read(tape: str) -> State | None:
    """The state in which a tape was judged complete; None if it never was."""
    try:
        return State(**json.loads(_path(tape).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(tape: str, judged: State) -> None:
    """Remember that Snakemake found nothing to do for a tape that was in this state before it looked."""
    # Without it the tape is judged again.
    with suppress(OSError):
        atomic.write_json(_path(tape), vars(judged))


def forget(tapes: Iterable[str]) -> None:
    """Have tapes judged again: a job of theirs is about to run."""
    for tape in tapes:
        with suppress(FileNotFoundError):
            _path(tape).unlink()


def interrupted(folder: Path = INCOMPLETE) -> set[str]:
    """Outputs of jobs that began and did not end, by Snakemake's markers (9.27.1, `persistence/file.py`)."""
    markers = (path for path in folder.rglob("*") if path.is_file())
    keys = ("".join(part.removeprefix("@") for part in path.relative_to(folder).parts) for path in markers)
    return {urlsafe_b64decode(key).decode(errors="replace") for key in keys if len(key) % 4 == 0}


def program() -> str:
    """A digest of all that decides what a job depends on: rules, library, schemas, and Snakemake's version.

    Of contents, so that another branch and back changes nothing.
    """
    import snakemake

    digest = hashlib.sha256(str(snakemake.__version__).encode())
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    sources += sorted((ROOT / "scripts").rglob("*.py")) + sorted((ROOT / "config" / "schemas").glob("*.yaml"))
    for source in sources:
        digest.update(str(source.relative_to(ROOT)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _path(tape: str) -> Path:
    return FOLDER / f"{tape}.json"


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """All files in and below a folder. Quick: thousands for each tape."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir():
            yield from _below(entry.path)
        else:
            # A link that leads nowhere has a state, too.
            try:
                yield entry.path, entry.stat()
            except OSError:
                yield entry.path, entry.stat(follow_symlinks=False)


def _line(name: str, about: os.stat_result) -> str:
    return f"{about.st_size} {about.st_mtime_ns} {name}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
