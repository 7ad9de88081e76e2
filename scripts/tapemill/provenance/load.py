"""What is known of how a tape was made: its provenance, or what its file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ConfigError, InputError
from tapemill.media.probe import open_media
from tapemill.storage import job_records, untrusted_text

from . import sharing
from .document import FORMAT

RESULTS: Final = Path("results")
NAME: Final = "provenance.json"
CONTAINERS: Final = (".mkv", ".mp4")


@dataclass(frozen=True)
class Known:
    """One tape."""

    source: Path
    """The file that says it."""
    document: Mapping[str, Any] | None
    """What `provenance.json` says, each scene whole; None if only the tape's file is there."""
    tags: Mapping[str, str]
    """What the tape's file says of how it was made."""


def read(named: str) -> Known:
    """A tape by its id, its folder, its file, or its `provenance.json`.

    The provenance beside a tape's file is taken if it is about this file. Raises ConfigError if there is no such tape,
    InputError if nothing says how it was made.
    """
    path = Path(named)
    if not path.exists():
        path = RESULTS / named
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise ConfigError(
            f"there is no tape {named!r}",
            file=path,
            remedy="name a tape's id (in its working folder), its folder in results/, its file or its provenance.json",
        )
    if path.suffix == ".json":
        return _of_document(path)
    beside = path.with_name(NAME)
    if beside.is_file():
        known = _of_document(beside)
        assert known.document is not None
        result = known.document["results"][0]
        if path.stem == known.document["tape"] and result["size_bytes"] == path.stat().st_size:
            return known
    return _of_file(path)


def _in_folder(folder: Path) -> Path:
    candidates = [folder / NAME, *(folder / f"{folder.name}{suffix}" for suffix in CONTAINERS)]
    return next((path for path in candidates if path.is_file()), folder / NAME)


def _of_document(path: Path) -> Known:
    remedy = "delete it and run `snakemake all`: only this file is written again"
    document = untrusted_text.read_json(path, error=InputError, remedy=remedy)
    if any(not isinstance(document.get(part), dict) for part in ("how", "tags")) or not document.get("results"):
        raise InputError("this is no provenance of a tape", file=path, remedy=remedy)
    if document.get("format") not in range(1, FORMAT + 1):
        raise InputError(
            f"this provenance has the format {document.get('format')}, and this version knows those up to {FORMAT}",
            file=path,
            remedy="compare with the version that wrote it, or a newer one",
        )
    try:
        return Known(path, sharing.whole(document), document["tags"])
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError("this is no provenance of a tape", file=path, remedy=remedy) from error


def _of_file(path: Path) -> Known:
    with open_media(path) as container:
        tags = job_records.tags_of(container.metadata)
    if not tags:
        raise InputError(
            "this file has no record of how it was made", file=path, remedy="name a tape that Tapemill has made"
        )
    return Known(path, None, tags)
