"""Tape sheet: its rows, validated, and the checks of their sources."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import ConfigError
from tapemill.core.result_paths import CAPTURE_CHECKSUM, TapePaths
from tapemill.storage.tsv import read_table

from .aspect import SheetAspect
from .row_fault import OnFault, RowFault, faulty_row_handler, raise_fault
from .schema import schema, validate, with_defaults

# Path() merges two slashes into one.
URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


@dataclass(frozen=True)
class TapeRow:
    """One row of the sheet. Text columns are empty where the sheet is."""

    tape: str
    source: Path
    title: str
    date: str
    language: str
    """ISO 639-1 code, or "auto"."""
    field_order: str
    aspect: str
    """As in the sheet; `SheetAspect` parses it."""
    film: str = "auto"
    """Whether the tape is film as a whole: "auto", "off", "24" or "25" frames a second."""


def load_sheet(path: Path, producible: Sequence[str] = (), on_fault: OnFault = raise_fault) -> dict[str, TapeRow]:
    """Read the tape sheet: tab separated, UTF-8, no quoting. Tapes by id, in the sheet's order.

    `producible` are sources that a rule can make, which may be missing. A row that cannot be used is given to
    `on_fault` and left out; of several rows with one id, all are. Raises ConfigError for a sheet that cannot be read.
    """
    tapes: dict[str, TapeRow] = {}
    faulty: set[str] = set()

    def note(fault: RowFault) -> None:
        faulty.add(fault.tape.lower())
        on_fault(fault)

    for where, tape in read_sheet(path, note):
        try:
            if str(tape.source) not in producible:
                check_source(tape, where)
        except ConfigError as error:
            if not _is_known(tape):
                note(RowFault(tape.tape, error))
        tapes[tape.tape] = tape
    return {id: tape for id, tape in tapes.items() if id.lower() not in faulty}


def _is_known(tape: TapeRow) -> bool:
    """Whether the capture was read to its end once, so that its tape needs it for new work only."""
    # Not Path.exists, which raises for a name that is too long.
    is_there = os.path.exists(tape.source)  # noqa: PTH110
    return not is_there and TapePaths.of(tape.tape).path(CAPTURE_CHECKSUM).is_file()


def read_sheet(path: Path, on_fault: OnFault = raise_fault) -> Iterator[tuple[str, TapeRow]]:
    """Yield the rows of the sheet, each with its location for messages. Sources are not checked.

    A row that cannot be used is given to `on_fault` and left out. Raises ConfigError for a sheet that cannot be read.
    """
    columns = list(schema("tapes")["properties"])
    seen: dict[str, str] = {}
    on_faulty_row = faulty_row_handler(on_fault)
    rows = read_table(path, columns, required=("tape", "source"), verbatim=("source",), on_faulty_row=on_faulty_row)
    for number, row in rows:
        where = f"row {number} of {path}"
        # An empty cell means the column's default, like a column that is not there at all.
        values = with_defaults({key: value for key, value in row.items() if value}, schema("tapes"))
        try:
            validate(values, schema("tapes"), where)
            _check_id(values["tape"], seen, where)
            _check_aspect(values["aspect"], where)
        except ConfigError as error:
            on_fault(RowFault(row.get("tape", ""), error))
            continue
        seen[values["tape"].lower()] = values["tape"]
        values["title"] = values["title"] or values["tape"]
        yield where, TapeRow(source=Path(values.pop("source")), **values)


def _check_id(tape: str, seen: Mapping[str, str], where: str) -> None:
    """`seen` are the ids of rows above, by their lower-case form."""
    similar = seen.get(tape.lower())
    if similar == tape:
        raise ConfigError(f"{where}: the tape id {tape!r} is used twice", remedy="give each tape its own")
    if similar is not None:
        raise ConfigError(
            f"{where}: the tape ids {similar!r} and {tape!r} differ only in capital letters",
            remedy="give them clearly different ids: on disks of other systems their results would be in one folder",
        )


def _check_aspect(text: str, where: str) -> None:
    try:
        SheetAspect.parse(text)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.what}", remedy=error.remedy) from error


def check_source(tape: TapeRow, where: str) -> None:
    """Raise ConfigError unless the tape's source exists and is a file or a folder."""
    source, name = tape.source, tape.tape
    try:
        exists, usable = source.exists(), source.is_file() or source.is_dir()
    except OSError as error:
        raise ConfigError(
            f"{where}: the source of tape {name!r} cannot be read: {error.strerror}",
            file=source,
            remedy="see who may read the folders that lead to it (`namei -l`)",
        ) from error
    if not exists:
        remedy = "correct the column `source`; a relative path counts from the folder you run snakemake in"
        if URL.match(str(source)):
            remedy = "an address is no file: mount what is there, or copy it, and name the file (docs/storage.md)"
        raise ConfigError(f"{where}: the source of tape {name!r} does not exist", file=source, remedy=remedy)
    if not usable:
        raise ConfigError(
            f"{where}: the source of tape {name!r} is neither a file nor a folder",
            file=source,
            remedy="a pipe or a device cannot be read by several jobs: record it into a file first",
        )
    if tape.film in ("24", "25") and source.is_dir():
        raise ConfigError(
            f"{where}: tape {name!r} is a folder of scenes, which is never made as film of {tape.film} frames a second",
            file=source,
            remedy="leave the column `film` empty; film in its scenes is woven all the same",
        )
