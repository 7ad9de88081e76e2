"""The tape sheet, and whether every capture it names can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tapemill.core.errors import TapemillError

from .config import setting
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from tapemill.config.tape_sheet import TapeRow


def check_sheet(asked: CheckOptions) -> Iterator[Finding]:
    """The sheet, and each source that could not be used."""
    from tapemill.config.tape_sheet import read_sheet

    sheet = Path(setting("sheet"))
    rows = list(read_sheet(sheet))
    wrong = 0
    for where, tape in rows:
        try:
            found = list(_look(tape, where))
        except TapemillError as exc:
            found = [Finding.of(exc)]
        wrong += any(finding.level == "error" for finding in found)
        yield from found
    if not rows:
        yield warning(f"{sheet} names no tape", "add a row for each; config/README.md explains the columns")
    elif not wrong:
        tapes = "tape" if len(rows) == 1 else "tapes"
        yield ok(f"{sheet}: {len(rows)} {tapes}, and no source at fault")


def _look(tape: TapeRow, where: str) -> Iterator[Finding]:
    """Raises what a run would raise for this source."""
    from tapemill.config.tape_sheet import check_source
    from tapemill.storage import mtimes
    from tapemill.workflow.tape import DEMO_CAPTURE, TapeState

    if str(tape.source) == DEMO_CAPTURE and not tape.source.exists():
        yield ok(f"{where}: the demo tape is not drawn yet, which a run sees to")
        return
    check_source(tape, where)
    files = TapeState(tape).files
    if not files:
        yield error(
            f"{where}: the folder of tape {tape.tape!r} holds no scene files",
            "correct the column `source`, or put the files there",
            [("folder", str(tape.source))],
        )
    for file in files:
        try:
            with file.open("rb") as stream:
                is_empty = not stream.read(1)
        except OSError as exc:
            yield error(
                f"{where}: a file of tape {tape.tape!r} cannot be read: {exc.strerror}",
                "see who may read it (`ls -l`), and whether its disk is well (the system log)",
                [("file", str(file))],
            )
            continue
        if is_empty:
            what = f"{where}: a file of tape {tape.tape!r} is empty"
            yield error(what, "copy it again from where it came", [("file", str(file))])
    mtimes.reject_future_mtimes(files)
