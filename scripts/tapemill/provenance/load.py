"""Loader of how a tape was made: from its provenance, or from the tags of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapemill.core.errors import ConfigError, InputError
from tapemill.core.result_paths import CONTAINERS, PROVENANCE, RESULTS
from tapemill.media.probe import open_media
from tapemill.records import tape_tags
from tapemill.storage import untrusted_text
from tapemill.storage.typed_json import RecordError

from .format_2 import upgrade
from .model import FORMAT, Provenance

REMEDY: Final = "delete it and run `snakemake all`: only this file is written again"


@dataclass(frozen=True)
class LoadedProvenance:
    """How one tape was made."""

    source: Path
    """File that it was read from."""
    document: Provenance | None
    """None if only the tape's file is there."""
    tags: Mapping[str, str]
    """Tags of the tape's file on how it was made."""


def load_provenance(named: str) -> LoadedProvenance:
    """Load a tape by its id, its folder, its file, or its `provenance.json`.

    The provenance beside a tape's file is taken if it is about this file. Raises ConfigError if there is no such tape,
    InputError if nothing records how it was made.
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
        document = read_document(path)
        return LoadedProvenance(path, document, document.tags)
    beside = path.with_name(PROVENANCE)
    if beside.is_file():
        document = read_document(beside)
        if path.stem == document.tape and document.results[0].size_bytes == path.stat().st_size:
            return LoadedProvenance(beside, document, document.tags)
    return _of_file(path)


def read_document(path: Path) -> Provenance:
    """Read a `provenance.json` of any format. Raises InputError, naming the field, if it is none."""
    values = untrusted_text.read_json(path, error=InputError, remedy=REMEDY)
    if not isinstance(values.get("how"), dict):
        raise InputError("this is no provenance of a tape", file=path, remedy=REMEDY)
    if values.get("format") not in range(1, FORMAT + 1):
        raise InputError(
            f"this provenance has the format {values.get('format')}, and this version knows those up to {FORMAT}",
            file=path,
            remedy="compare with the version that wrote it, or a newer one",
        )
    try:
        document = Provenance.from_plain(values if values["format"] == FORMAT else upgrade(values))
    except RecordError as error:
        raise InputError(f"this is no provenance of a tape: {error}", file=path, remedy=REMEDY) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise InputError("this is no provenance of a tape", file=path, remedy=REMEDY) from error
    if not document.results:
        raise InputError("this is no provenance of a tape: it has no results", file=path, remedy=REMEDY)
    return document


def _in_folder(folder: Path) -> Path:
    candidates = [folder / PROVENANCE, *(folder / f"{folder.name}{suffix}" for suffix in CONTAINERS)]
    return next((path for path in candidates if path.is_file()), folder / PROVENANCE)


def _of_file(path: Path) -> LoadedProvenance:
    with open_media(path) as container:
        tags = tape_tags.tags_of(container.metadata)
    if not tags:
        raise InputError(
            "this file has no record of how it was made", file=path, remedy="name a tape that Tapemill has made"
        )
    return LoadedProvenance(path, None, tags)
