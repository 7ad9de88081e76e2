"""Rows of tables that cannot be used. Each costs its tape, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tapemill.core.errors import TapemillError
from tapemill.storage.tsv import OnFaultyRow


@dataclass(frozen=True)
class RowFault:
    """A row of the tape sheet or of the table of scene settings that cannot be used."""

    tape: str
    """Id in the row, as it stands there; empty if there is none."""
    error: TapemillError

    def __str__(self) -> str:
        return str(self.error)


OnFault = Callable[[RowFault], None]


def faulty_row_handler(on_fault: OnFault) -> OnFaultyRow:
    """Return the handler for `read_table` that gives faulty rows to `on_fault`."""
    return lambda cells, error: on_fault(RowFault(cells.get("tape", ""), error))


def raise_fault(fault: RowFault) -> None:
    """Raise the error of a row: the handler where a single fault is enough to stop."""
    raise fault.error
