"""The version of Snakemake that the patches were written for."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from tapemill.core.errors import SetupError

OLDEST: Final = (9, 27, 1)
BEFORE: Final = (9, 28)


def check_version(found: str | None = None) -> None:
    """Raise SetupError for a Snakemake whose insides may be others: not >=9.27.1,<9.28."""
    found = found or version("snakemake")
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdecimal())
    if not OLDEST <= numbers < BEFORE:
        raise SetupError(
            f"this is Snakemake {found}, but Tapemill needs 9.27.1 or a later 9.27",
            tool="snakemake",
            remedy="run `make setup` again",
        )
