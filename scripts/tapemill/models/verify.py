"""Whether a model's file is the one that was pinned. Jobs need nothing else of this package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .. import files
from ..errors import ModelError

# Instead of a hash, for a file that has not been pinned yet. No file has it, so no job will load one.
UNPINNED: Final = "not pinned yet"


@dataclass(frozen=True)
class ModelFile:
    """A model's file, and the SHA-256 that it must have."""

    path: Path
    sha256: str


def verify_model(path: Path, sha256: str) -> None:
    """Raise ModelError unless the file is there and has this SHA-256."""
    if not path.is_file():
        raise ModelError("the model is not there", file=path, remedy="run `snakemake models` to fetch it")
    if sha256 == UNPINNED:
        raise ModelError("the model is not pinned yet", file=path, remedy="run `snakemake models` to pin this file")
    found = files.sha256(path)
    if found != sha256:
        raise ModelError(
            f"the model is not the one that was pinned: SHA-256 {found}, pinned {sha256}",
            file=path,
            remedy="if you changed it on purpose, delete its entry in config/models.lock (a file of your own) or the "
            "file itself (a model with a name), then run `snakemake models`",
        )
