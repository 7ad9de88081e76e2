"""Lock file of models, config/models.lock: the SHA-256 of each file, as `snakemake fetch_models` first found it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tapemill.core.errors import ModelError
from tapemill.storage import atomic, fingerprint, untrusted_text

# Relative to the working folder.
LOCK = Path("config/models.lock")
_RESTORE = "restore the file, for example with `git checkout config/models.lock`"


def read_lock(lock: Path) -> dict[str, dict[str, Any]]:
    """Read the lock: names, or own files, with `file`, `sha256`, `size_bytes`, and for own files `kind` and `scale`.

    Raises ModelError if it cannot be read.
    """
    try:
        text = untrusted_text.read_text(lock, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=ModelError)
        pins = untrusted_text.parse_yaml(text) or {}
        if all(isinstance(pin.get(key), str) for pin in pins.values() for key in ("file", "sha256")):
            return dict(pins)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"the list of models cannot be read: {error}", file=lock, remedy=_RESTORE) from error
    raise ModelError("an entry in the list of models lacks its file or its sha256", file=lock, remedy=_RESTORE)


def pin_model(lock: Path, key: str, file: Path, sha256: str, **found: str | int) -> None:
    """Append a file and its hash to the lock, whose comments and order stay.

    `found` are further properties of the file: `kind` and `scale` of an own file.
    """
    entry = {key: {"file": str(file), "sha256": sha256, "size_bytes": file.stat().st_size, **found}}
    before = lock.read_text(encoding="utf-8").rstrip("\n")
    atomic.write_text(lock, f"{before}\n{yaml.safe_dump(entry, sort_keys=False)}")


# Placeholder for the hash of a file that has not been pinned yet. No file matches it, so no job loads one.
UNPINNED: Final = "not pinned yet"


@dataclass(frozen=True)
class ModelFile:
    """A model's file, and the SHA-256 that it must have."""

    path: Path
    sha256: str


def verify_model(path: Path, sha256: str) -> None:
    """Raise ModelError unless the file exists and has this SHA-256."""
    if not path.is_file():
        raise ModelError("the model is missing", file=path, remedy="run `snakemake fetch_models` to fetch it")
    if sha256 == UNPINNED:
        raise ModelError(
            "the model is not pinned yet", file=path, remedy="run `snakemake fetch_models` to pin this file"
        )
    found = fingerprint.sha256(path)
    if found != sha256:
        raise ModelError(
            f"the model is not the one that was pinned: SHA-256 {found}, pinned {sha256}",
            file=path,
            remedy="if you changed it on purpose, delete its entry in config/models.lock (a file of your own) or the "
            "file itself (a model with a name), then run `snakemake fetch_models`",
        )
