"""The lock, config/models.lock: which bytes each model's file must have, as `snakemake models` first found them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .. import bounded, files
from ..errors import ModelError

# In the folder that snakemake runs in.
LOCK = Path("config/models.lock")
_RESTORE = "restore the file, for example with `git checkout config/models.lock`"


def read_lock(lock: Path) -> dict[str, dict[str, Any]]:
    """Names, or files of one's own, with `file`, `sha256`, `size_bytes`, and of one's own files `kind` and `scale`.

    Raises ModelError if it cannot be read.
    """
    try:
        text = bounded.read_text(lock, most_bytes=bounded.WRITTEN_BYTES, error=ModelError)
        pins = bounded.parse_yaml(text) or {}
        if all(isinstance(pin.get(key), str) for pin in pins.values() for key in ("file", "sha256")):
            return dict(pins)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"the list of models cannot be read: {error}", file=lock, remedy=_RESTORE) from error
    raise ModelError("an entry in the list of models lacks its file or its sha256", file=lock, remedy=_RESTORE)


def pin(lock: Path, key: str, file: Path, sha256: str, **found: str | int) -> None:
    """Write down what a file is from now on; appended, so that comments and order of the lock stay.

    `file` is its place, `found` what else was seen in it: `kind` and `scale` of a file of one's own.
    """
    entry = {key: {"file": str(file), "sha256": sha256, "size_bytes": file.stat().st_size, **found}}
    before = lock.read_text(encoding="utf-8").rstrip("\n")
    files.write_text(lock, f"{before}\n{yaml.safe_dump(entry, sort_keys=False)}")
