"""Checks of the tape sheet and its captures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tapemill.core.errors import TapemillError
from tapemill.core.result_paths import CONTAINERS, RESULTS
from tapemill.verification import history

from .config import config, own_config, setting
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from tapemill.config.tape_sheet import TapeRow

MOST_NAMED: Final = 10


def check_sheet(options: CheckOptions) -> Iterator[Finding]:
    """Check the sheet and each source in it."""
    from tapemill.config.tape_sheet import read_sheet

    sheet = Path(setting("sheet"))
    rows = list(read_sheet(sheet))
    errors = 0
    for row, tape in rows:
        try:
            found = list(_check_tape(tape, row))
        except TapemillError as exc:
            found = [Finding.of(exc)]
        errors += any(finding.level == "error" for finding in found)
        yield from found
    if not rows:
        yield warning(f"{sheet} names no tape", "add a row for each; config/README.md explains the columns")
    elif not errors:
        tapes = "tape" if len(rows) == 1 else "tapes"
        yield ok(f"{sheet}: {len(rows)} {tapes}, no errors")


def check_verified(options: CheckOptions) -> Iterator[Finding]:
    """Check which finished tapes were never verified, have changed since, or were found damaged. Reads none of them."""
    never: list[str] = []
    changed: list[str] = []
    faulty: list[str] = []
    intact: list[str] = []
    for tape in sorted(path for suffix in CONTAINERS for path in RESULTS.glob(f"*/*{suffix}")):
        if tape.stem != tape.parent.name:
            continue
        note = history.read_note(tape)
        group = never if note is None else changed if not history.is_unchanged(tape, note) else intact
        (faulty if note is not None and group is intact and note.faults else group).append(tape.stem)
    if faulty:
        yield error(
            f"tapes that were found damaged: {_named(faulty)}",
            "`tapemill verify` names the files; restore them from a copy",
        )
    if changed:
        yield warning(f"tapes that have changed since they were verified: {_named(changed)}", "`tapemill verify`")
    if never:
        yield ok(f"tapes that were never verified: {_named(never)}; `tapemill verify` reads them")
    if intact:
        yield ok(f"tapes that were verified and have not changed since: {len(intact)}")


def check_recipes(options: CheckOptions) -> Iterator[Finding]:
    """Check which tapes were made by an older recipe."""
    from tapemill.workflow.settings import load_settings

    settings = load_settings(config(), own_config())
    if older := settings.older_recipes():
        yield ok(
            f"tapes made by an older recipe, which stay as they are: {_named(list(older))}; `tapemill renew TAPE` has"
            " them made anew",
            [(tape, "; ".join(differences)) for tape, differences in list(older.items())[:MOST_NAMED]],
        )


def _named(tapes: Sequence[str]) -> str:
    return ", ".join(tapes[:MOST_NAMED]) + (f" and {len(tapes) - MOST_NAMED} more" if tapes[MOST_NAMED:] else "")


def _check_tape(tape: TapeRow, row: str) -> Iterator[Finding]:
    """Check one source. Raises the errors that a run would raise for it."""
    from tapemill.config.tape_sheet import check_source
    from tapemill.storage import mtimes
    from tapemill.workflow.tape import DEMO_CAPTURE, TapeState

    if str(tape.source) == DEMO_CAPTURE and not tape.source.exists():
        yield ok(f"{row}: the demo tape is not drawn yet; a run does that")
        return
    check_source(tape, row)
    files = TapeState(tape).files
    if not files:
        yield error(
            f"{row}: the folder of tape {tape.tape!r} holds no scene files",
            "correct the column `source`, or put the files there",
            [("folder", str(tape.source))],
        )
    for file in files:
        try:
            with file.open("rb") as stream:
                is_empty = not stream.read(1)
        except OSError as exc:
            yield error(
                f"{row}: a file of tape {tape.tape!r} cannot be read: {exc.strerror}",
                "check its rights (`ls -l`) and its disk (the system log)",
                [("file", str(file))],
            )
            continue
        if is_empty:
            what = f"{row}: a file of tape {tape.tape!r} is empty"
            yield error(what, "copy it again from its origin", [("file", str(file))])
    mtimes.reject_future_mtimes(files)
