"""What each page of a tape says, in a line: for the table of contents, and for the first page of the report."""

from __future__ import annotations

from pathlib import Path

from .. import bounded
from ..errors import InputError


def headline(headlines: Path, page: str) -> str:
    """What a page says, from what `draw_tape` wrote: words of ours and numbers alone."""
    remedy = "delete it, and the workflow makes it anew"
    return str(bounded.read_json(headlines, error=InputError, remedy=remedy)[page])
