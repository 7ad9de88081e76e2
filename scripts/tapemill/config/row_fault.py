"""Rows of tables that cannot be used. Each costs its tape, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tapemill.core.errors import ConfigError


@dataclass(frozen=True)
class RowFault:
    """A row of the tape sheet or of the table of scene settings that cannot be used."""

    tape: str
    """Id in the row, as it stands there; empty if there is none."""
    error: ConfigError

    def __str__(self) -> str:
        return str(self.error)


OnFault = Callable[[RowFault], None]


def raise_fault(fault: RowFault) -> None:
    """Raise the error of a row: the handler where a single fault is enough to stop."""
    raise fault.error
