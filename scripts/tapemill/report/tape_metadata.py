"""What the finished tape says about itself: its title; and what it was made with, by its provenance or its tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import InputError
from tapemill.media.probe import open_media
from tapemill.storage import job_records, untrusted_text

# Of a folder of scenes there may be a thousand.
MOST_FILES: Final = 3

Row = tuple[str, str]
"""A name and a value, for people."""


@dataclass(frozen=True)
class TapeMetadata:
    """What a tape says about itself, as a page shows it."""

    title: str
    date: str
    width: int
    """Of the picture, in samples."""
    tags: tuple[Row, ...]
    """Facts of how it was made."""


def read_tape_metadata(tape: Path) -> TapeMetadata:
    """Read the tags of a tape, of either container. Raises InputError if it cannot be opened."""
    with open_media(tape) as container:
        tags = {name: str(value) for name, value in container.metadata.items()}
        width = container.streams.video[0].width
    rows = tuple((name.replace("_", " "), value) for name, value in sorted(job_records.tags_of(tags).items()))
    return TapeMetadata(tags.get("title") or tape.stem, tags.get("date", ""), width, rows)


def build_info(tagged: TapeMetadata, provenance: Path | None) -> list[Row]:
    """Versions and hashes: what `provenance.json` says if there is one, otherwise the tape's own tags.

    Raises InputError if it is damaged.
    """
    if provenance is None:
        return list(tagged.tags)
    remedy = "delete it, and the workflow makes it anew"
    return list(_of_provenance(untrusted_text.read_json(provenance, error=InputError, remedy=remedy)))


def _of_provenance(document: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of what config/schemas/provenance.schema.yaml describes, as far as it is there."""
    how, run = document.get("how", {}), document.get("run", {})
    for file in document.get("results", ())[:MOST_FILES]:
        yield f"{file['kind']}, SHA-256", file["sha256"]
    captured = how.get("capture", {}).get("files", ())
    for file in captured[:MOST_FILES]:
        yield "capture, SHA-256", file["sha256"]
    if len(captured) > MOST_FILES:
        yield "", f"and {len(captured) - MOST_FILES} more"
    for model in how.get("models", ()):
        yield f"model for {model['used_for']}", f"{model['name']} {model['sha256']}"
    for what, programs in sorted(how.get("programs", {}).items()):
        yield what, ", ".join(f"{name} {' and '.join(versions)}" for name, versions in sorted(programs.items()))
    code = how.get("tapemill", {})
    if code:
        yield "Tapemill", f"{code['version']}, code {code['code_sha256']}"
        yield "recipes", ", ".join(f"{stage} {number}" for stage, number in code["recipes"].items())
    checkout = run.get("checkout", {})
    if checkout.get("commit"):
        changed = checkout.get("changed") or ()
        yield "commit", checkout["commit"] + (f", and {len(changed)} changed files" if changed else "")
    machine = run.get("machine", {})
    if machine:
        yield "machine", ", ".join(filter(None, (machine["processor"], machine["architecture"], machine["system"])))
