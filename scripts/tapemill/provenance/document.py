"""Builder of `provenance.json`: how a tape was made, from the records of its parts, the settings and the events.

The parts `how` and `results` are the same for two runs with the same inputs, at any time and place; times are in `run`,
paths in `places`. No part names a person or a folder outside the working folder.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tapemill.core.errors import InputError
from tapemill.core.result_paths import TapePaths
from tapemill.media.capture_info import Capture
from tapemill.media.probe import open_media
from tapemill.models import ModelFile
from tapemill.records import job_records, tape_tags
from tapemill.records.capture import CaptureHashes
from tapemill.storage import atomic, fingerprint
from tapemill.storage.checksums import unmark_changed
from tapemill.storage.typed_json import read_record

from . import run_history, scene_records
from .checksums import write_tape_checksums
from .code_version import ROOT, CodeVersion, code_version
from .json_layout import format_json
from .model import (
    CaptureFile,
    CaptureInputs,
    Checkout,
    How,
    Places,
    Provenance,
    ResultFile,
    Run,
    RunSettings,
    SceneOverride,
    Settings,
    SheetRow,
    TapemillVersion,
)
from .ro_crate import crate

LOG = logging.getLogger("tapemill.provenance")


@dataclass(frozen=True)
class TapeFiles:
    """Files of a finished tape."""

    folder: Path
    """Folder with all of them, including the records of the parts."""
    tape: Path
    subtitles: Sequence[Path]
    capture_hash: Path
    """Output of `hash_capture`."""

    @property
    def results(self) -> list[Path]:
        """Output files, the tape first."""
        return [self.tape, *self.subtitles]


@dataclass(frozen=True)
class Request:
    """Settings of a tape, from the sheet, the tables and the config."""

    row: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    """Sections of the config that the tape was made with, with their full chain."""
    overrides: Sequence[Mapping[str, Any]]
    recipes: Mapping[str, int]
    language: str | None
    """Spoken on the tape, from the sheet or the vote."""
    speech_model: ModelFile
    config: Mapping[str, Any]
    """The whole config, for the settings that never change a tape."""


def write_provenance(
    *,
    files: TapeFiles,
    request: Request,
    scenes: Mapping[str, Sequence[int]],
    target: Path,
    metadata: Path,
    workflow: Path,
) -> None:
    """Write `provenance.json` (`target`) of a finished tape, its RO-Crate (`metadata`), and checksums of its files.

    `scenes` are frame ranges of the capture by name, in order. An archive that takes the folder has to find the
    workflow in it, hence the copy (`workflow`). Raises InputError for a tape or a record that cannot be read.
    """
    document = build_document(files, request, scenes)
    with atomic.staged(workflow) as partial:
        shutil.copyfile(ROOT / "Snakefile", partial)
    atomic.write_json(metadata, crate(document, folder=files.folder, workflow=workflow.name))
    atomic.write_text(target, format_json(document.to_plain()))
    # Last, because it covers the others.
    known = {path: result.sha256 for path, result in zip(files.results, document.results, strict=True)}
    count = write_tape_checksums(files.folder, known)
    unmark_changed(files.folder.name)
    LOG.info("checksums of %d files", count)
    changed = document.run.checkout.changed
    if changed:
        LOG.info("made with code that is in no commit: %s", ", ".join(changed[:5]) + (", …" if changed[5:] else ""))
    LOG.info("%d scenes, %d models: %s", len(scenes), len(document.how.models), target)


def build_document(files: TapeFiles, request: Request, scenes: Mapping[str, Sequence[int]]) -> Provenance:
    """Build the provenance. `scenes` are frame ranges of the capture by name. Raises InputError, ToolKilled."""
    tags = _tags(files.tape)
    version = code_version()
    hashes = _hashes(files)
    document = Provenance(
        format=3,
        tape=request.row["tape"],
        how=_how(files, request, scenes, hashes, version, tags),
        results=tuple(_result(path, request.row["tape"]) for path in files.results),
        tags=tags,
        run=_run(files, request, list(scenes), version),
        places=Places(
            source=_portable(Path(request.row["source"])),
            capture=tuple(file.name for file in hashes.files),
            results=tuple(path.name for path in files.results),
            ffmpeg=_portable(Path(request.config["ffmpeg"])) if request.config["ffmpeg"] else None,
        ),
    )
    return Provenance.from_plain(_anonymous(document.to_plain()))


def _how(
    files: TapeFiles,
    request: Request,
    scenes: Mapping[str, Sequence[int]],
    hashes: CaptureHashes,
    version: CodeVersion,
    tags: Mapping[str, str],
) -> How:
    folder, settings = files.folder, request.settings
    capture = Capture.read(TapePaths(folder).capture_record)
    entries = tuple(scene_records.scene_how(folder, scene, frames) for scene, frames in scenes.items())
    audio = job_records.audio_record(folder)
    return How(
        capture=CaptureInputs(
            kind=capture.kind,
            files=tuple(CaptureFile(file.size_bytes, file.fingerprint, file.sha256) for file in hashes.files),
            facts=_facts(capture),
        ),
        sheet=_sheet(request.row),
        settings=Settings(**{name: tape_tags.without_paths(settings[name]) for name in tape_tags.SECTIONS}),
        scene_overrides=tuple(SceneOverride.from_plain(tape_tags.without_paths(row)) for row in request.overrides),
        language=request.language,
        models=scene_records.used_models(folder, scenes, request.speech_model),
        seeds=scene_records.seeds(settings, entries),
        programs=_programs(folder, scenes, tags),
        tapemill=TapemillVersion(version.version, version.code_sha256, dict(request.recipes)),
        audio=replace(audio, programs={}, sha256=None) if audio else None,
        scenes=entries,
    )


def _run(files: TapeFiles, request: Request, scenes: Sequence[str], version: CodeVersion) -> Run:
    jobs = run_history.job_runs(request.row["tape"], scenes)
    started, ended = run_history.span(jobs.values()) or (None, None)
    return Run(
        started=started,
        # Without events the tape's own time is all that is known.
        ended=ended or _time_of(files.tape),
        jobs={rule: job for (rule, scene), job in jobs.items() if not scene},
        scenes=run_history.by_scene(jobs, scenes),
        machine=run_history.machine(),
        environment=run_history.environment(),
        checkout=Checkout(version.commit, version.changed),
        settings=RunSettings(**{name: request.config[name] for name in ("on_scene_failure", "lanes", "disk")}),
    )


def _tags(tape: Path) -> dict[str, str]:
    """Tapemill's tags of the tape's file."""
    with open_media(tape) as container:
        return tape_tags.tags_of(container.metadata)


def _time_of(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds")


def _hashes(files: TapeFiles) -> CaptureHashes:
    remedy = "delete it, and the workflow makes it again"
    return read_record(CaptureHashes, files.capture_hash, error=InputError, remedy=remedy)


def _facts(capture: Capture) -> dict[str, Any]:
    facts = capture.to_plain()
    for take in facts["takes"]:
        del take["file"]
    return facts


def _sheet(row: Mapping[str, str]) -> SheetRow:
    values = {key: row[key] for key in ("title", "date", "language", "field_order", "aspect")}
    sheet = SheetRow(**values, film=row.get("film"))
    # Where the sheet gives no title, the tape's id stands in.
    return replace(sheet, title="") if row["title"] == row["tape"] else sheet


def _programs(
    folder: Path, scenes: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Programs by stage: of the records, and of the muxer, which only the tape's tags name."""
    used = job_records.programs_used(folder, scenes)
    muxer = tape_tags.parse_programs(tags.get("programs", "")).get("tape")
    used |= {"tape": muxer} if muxer else {}
    return {stage: {name: tuple(each) for name, each in programs.items()} for stage, programs in used.items()}


def _result(path: Path, tape: str) -> ResultFile:
    return ResultFile(path.name.removeprefix(f"{tape}."), path.stat().st_size, fingerprint.sha256(path))


def _portable(path: Path) -> str:
    """Path relative to the working folder; of a file elsewhere the name alone."""
    inside = path if not path.is_absolute() else _inside(path)
    return path.name if inside is None or ".." in inside.parts else inside.as_posix()


def _inside(path: Path) -> Path | None:
    base = Path.cwd()
    return path.relative_to(base) if path.is_relative_to(base) else None


def _anonymous(value: Any) -> Any:
    """Copy JSON values without the working folder and the user's home, where messages of errors name them."""
    if isinstance(value, Mapping):
        return {key: _anonymous(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_anonymous(each) for each in value]
    if isinstance(value, str):
        for folder, name in ((Path.cwd(), ""), (Path.home(), "~/")):
            # A user without a home has "/".
            value = value.replace(f"{folder}/", name) if folder != Path("/") else value
    return value
