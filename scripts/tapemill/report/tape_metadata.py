"""Metadata of the finished tape: title and tags; and build info from its provenance or its tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapemill.media.probe import open_media
from tapemill.provenance.load import read_document
from tapemill.provenance.model import Provenance
from tapemill.records import tape_tags
from tapemill.records.clip import FilmRecord

# A capture that is a folder of scenes may have a thousand.
MOST_FILES: Final = 3

Row = tuple[str, str]
"""A name and a value, for people."""


@dataclass(frozen=True)
class TapeMetadata:
    """Metadata of a tape as shown on the pages."""

    title: str
    date: str
    width: int
    """Of the video, in samples."""
    tags: tuple[Row, ...]
    """Tags on how it was made."""


def read_tape_metadata(tape: Path) -> TapeMetadata:
    """Read the tags of a tape, of either container. Raises InputError if it cannot be opened."""
    with open_media(tape) as container:
        tags = {name: str(value) for name, value in container.metadata.items()}
        width = container.streams.video[0].width
    rows = tuple((name.replace("_", " "), value) for name, value in sorted(tape_tags.tags_of(tags).items()))
    return TapeMetadata(tags.get("title") or tape.stem, tags.get("date", ""), width, rows)


def build_info(metadata: TapeMetadata, provenance: Path | None) -> list[Row]:
    """Versions and hashes: from `provenance.json` if there is one, otherwise from the tape's own tags.

    Raises InputError if it is damaged.
    """
    if provenance is None:
        return list(metadata.tags)
    return list(_provenance_rows(read_document(provenance)))


def _provenance_rows(document: Provenance) -> Iterator[Row]:
    how, run = document.how, document.run
    for result in document.results[:MOST_FILES]:
        yield f"{result.kind}, SHA-256", result.sha256
    files = how.capture.files
    for file in files[:MOST_FILES]:
        yield "capture, SHA-256", file.sha256
    if len(files) > MOST_FILES:
        yield "", f"and {len(files) - MOST_FILES} more"
    film = _film([scene.enhance.film for scene in how.scenes if scene.enhance])
    if film:
        yield "film", film
    for model in how.models:
        yield f"model for {model.used_for}", f"{model.name} {model.sha256}"
    for stage, programs in sorted(how.programs.items()):
        yield stage, ", ".join(f"{name} {' and '.join(versions)}" for name, versions in sorted(programs.items()))
    yield "Tapemill", f"{how.tapemill.version}, code {how.tapemill.code_sha256}"
    yield "recipes", ", ".join(f"{stage} {number}" for stage, number in how.tapemill.recipes.items())
    if run.checkout.commit:
        changed = run.checkout.changed or ()
        yield "commit", run.checkout.commit + (f", and {len(changed)} changed files" if changed else "")
    machine = run.machine
    yield "machine", ", ".join(filter(None, (machine.processor, machine.architecture, machine.system)))


def _film(scenes: Sequence[FilmRecord | None]) -> str:
    """Describe the film in the scenes of a tape, empty if there is none."""
    films = [film for film in scenes if film]
    if not films:
        return ""
    if not films[0].is_whole_tape:
        return f"in {len(films)} of {len(scenes)} scenes, whose fields are woven; the tape keeps its rate"
    confidence = films[0].confidence
    reason = "by the sheet" if confidence is None else f"confidence {confidence}"
    dropped, repeated = sum(film.dropped for film in films), sum(film.repeated for film in films)
    edited = f", {dropped} dropped and {repeated} repeated where the video was edited" if dropped + repeated else ""
    return f"the whole tape, {films[0].pattern} ({reason}): each film frame is shown once{edited}"
