"""`provenance.json`: how a tape was made (provenance.schema.yaml).

Its parts `how` and `results` are the same for two runs with the same inputs, wherever and whenever they were; times are
in `run`, places in `places`. No part names a person or a folder outside the working folder.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tapemill.media.capture_info import Capture
from tapemill.media.ffmpeg.version import package_version
from tapemill.media.probe import open_media
from tapemill.models import ModelFile
from tapemill.storage import atomic, fingerprint, job_records

from . import code_version, run_history, sharing
from .code_version import ROOT
from .ro_crate import crate

FORMAT: Final = 2
# silero-vad's wheel brings several; this is what it loads when it is asked for its detector (6.2.3).
DETECTOR: Final = "silero_vad.jit"
OF_THE_RUN: Final = ("on_scene_failure", "lanes", "disk")


@dataclass(frozen=True)
class TapeFiles:
    """What was made of a tape."""

    folder: Path
    """Where it all lies, records of the parts too."""
    tape: Path
    subtitles: Sequence[Path]
    capture_hash: Path
    """What `hash_capture` wrote."""

    @property
    def results(self) -> list[Path]:
        """What is kept and shown."""
        return [self.tape, *self.subtitles]


@dataclass(frozen=True)
class Wishes:
    """What the sheet, the tables and the config say of a tape."""

    row: Mapping[str, str]
    settings: Mapping[str, Mapping[str, Any]]
    """The sections of the config that the tape was made with, their chain written out."""
    overrides: Sequence[Mapping[str, Any]]
    recipes: Mapping[str, int]
    language: str | None
    """Spoken on the tape, as the sheet says or as was voted."""
    speech_model: ModelFile
    config: Mapping[str, Any]
    """The whole config, for what says where and when."""


def describe(made: TapeFiles, wishes: Wishes, scenes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """All of it, as JSON values. `scenes` are frame ranges of the capture by name. Raises InputError, ToolKilled."""
    folder, row = made.folder, wishes.row
    tags = _tags(made.tape)
    state = code_version.examine()
    capture = Capture.read(folder / "capture.json")
    found = [_scene(folder, scene, frames) for scene, frames in scenes.items()]
    how = {
        "capture": {
            "kind": capture.kind,
            "files": [_without_name(file) for file in _hashes(made)],
            "facts": _facts(capture),
        },
        "sheet": _sheet(row),
        "settings": {name: job_records.without_paths(wishes.settings[name]) for name in job_records.SECTIONS},
        "scenes_of_their_own": [job_records.without_paths(override) for override in wishes.overrides],
        "language": wishes.language,
        "models": _models(folder, scenes, wishes.speech_model),
        "seeds": _seeds(wishes.settings, found),
        "programs": {**job_records.programs_used(folder, scenes), **_of_the_mux(tags)},
        "tapemill": {"version": state.version, "code_sha256": state.code_sha256, "recipes": dict(wishes.recipes)},
        "sound": {key: value for key, value in job_records.audio_record(folder).items() if key != "programs"},
        "scenes": found,
    }
    work = run_history.to_plain(run_history.works(row["tape"], list(scenes)), list(scenes))
    # Without events the tape's own time is all that is known.
    work["ended"] = work["ended"] or _time_of(made.tape)
    document = {
        "format": FORMAT,
        "tape": row["tape"],
        "how": how,
        "results": [_result(path, row["tape"]) for path in made.results],
        "tags": tags,
        "run": {
            **work,
            "machine": run_history.machine(),
            "environment": run_history.environment(),
            "checkout": {"commit": state.commit, "changed": state.changed and list(state.changed)},
            "settings": {name: wishes.config[name] for name in OF_THE_RUN},
        },
        "places": {
            "source": _portable(Path(row["source"])),
            "capture": [file["name"] for file in _hashes(made)],
            "results": [path.name for path in made.results],
            "ffmpeg": _portable(Path(wishes.config["ffmpeg"])) if wishes.config["ffmpeg"] else None,
        },
    }
    return sharing.shared(_anonymous(document))


def _tags(tape: Path) -> dict[str, str]:
    """What the tape's file says of itself."""
    with open_media(tape) as container:
        return job_records.tags_of(container.metadata)


def _time_of(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds")


def _hashes(made: TapeFiles) -> list[dict[str, Any]]:
    return list(job_records.read(made.capture_hash)["files"])


def _without_name(file: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in file.items() if key != "name"}


def _facts(capture: Capture) -> dict[str, Any]:
    facts = capture.to_plain()
    for take in facts["takes"]:
        del take["file"]
    return facts


def _sheet(row: Mapping[str, str]) -> dict[str, str]:
    said = {key: row[key] for key in ("title", "date", "language", "field_order", "aspect")}
    # Where the sheet gives no title, the tape's id stands in.
    return said | ({"title": ""} if row["title"] == row["tape"] else {})


def _scene(folder: Path, scene: str, frames: Sequence[int]) -> dict[str, Any]:
    picture = {key: value for key, value in job_records.clip_record(folder, scene).items() if key != "programs"}
    picture["cut_with"] = {key: value for key, value in picture.get("cut_with", {}).items() if key != "ffmpeg"}
    found = {
        "scene": scene,
        "start_frame": frames[0],
        "stop_frame": frames[1],
        "picture": job_records.without_paths(picture),
        "words": _words(folder, scene, "subtitles"),
    }
    translated = _words(folder, scene, "translated")
    return found | ({"translation": translated} if translated else {})


def _words(folder: Path, scene: str, kind: str) -> dict[str, Any]:
    """How the subtitles of a scene came about; not what they say, which has files of its own."""
    srt = folder / kind / f"{scene}.srt"
    record = job_records.subtitle_record(folder, scene, translated=kind == "translated")
    if not record or not srt.is_file():
        return {}
    made_from = record.get("made_from", {})
    kept = {key: made_from[key] for key in ("audio_sha256", "model_sha256", "task", "language") if key in made_from}
    kept |= {key: record[key] for key in ("lowered", "left_empty") if key in record}
    found = fingerprint.sha256(srt)
    return {**kept, "srt_sha256": found, "corrected_by_hand": found != record.get("srt_sha256")}


def _models(folder: Path, scenes: Mapping[str, Any], speech: ModelFile) -> list[dict[str, str]]:
    """Every model that the records name, once."""
    used: set[tuple[str, str, str]] = set()
    versions: set[str] = set()
    for scene in scenes:
        for network in job_records.clip_record(folder, scene).get("networks", ()):
            used.add(("picture", Path(network["model"]).name, network["sha256"]))
        for translated in (False, True):
            words = job_records.subtitle_record(folder, scene, translated=translated)
            heard = words.get("made_from", {})
            versions |= {heard["versions"]["silero-vad"]} if "versions" in heard else set()
            if less := words.get("lowered"):
                used.add(("words", less["model"], less["model_sha256"]))
            elif "model_sha256" in heard:
                name = speech.path.stem if heard["model_sha256"] == speech.sha256 else "unknown"
                used.add(("words", name, heard["model_sha256"]))
    if versions == {package_version("silero-vad")}:
        used |= {("speech detection", DETECTOR, fingerprint.sha256(path)) for path in _detector()}
    return [{"used_for": what, "name": name, "sha256": sha256} for what, name, sha256 in sorted(used)]


def _detector() -> list[Path]:
    listed = metadata.files("silero-vad") or []
    return [Path(str(file.locate())) for file in listed if file.name == DETECTOR]


def _seeds(settings: Mapping[str, Mapping[str, Any]], scenes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where random numbers begin. That of the grain filter stands in its command."""
    networks = {
        network["seed"] for scene in scenes for network in scene["picture"].get("networks", ()) if "seed" in network
    }
    return {"words": settings["subtitles"]["seed"], "networks": sorted(networks)}


def _of_the_mux(tags: Mapping[str, str]) -> dict[str, Any]:
    programs = job_records.from_text(tags.get("programs", ""))
    return {"tape": programs["tape"]} if "tape" in programs else {}


def _result(path: Path, tape: str) -> dict[str, Any]:
    return {
        "kind": path.name.removeprefix(f"{tape}."),
        "size_bytes": path.stat().st_size,
        "sha256": fingerprint.sha256(path),
    }


def _portable(path: Path) -> str:
    """Relative to the working folder; of what lies elsewhere the name alone."""
    inside = path if not path.is_absolute() else _inside(path)
    return path.name if inside is None or ".." in inside.parts else inside.as_posix()


def _inside(path: Path) -> Path | None:
    base = Path.cwd()
    return path.relative_to(base) if path.is_relative_to(base) else None


def _anonymous(value: Any) -> Any:
    """A copy without the working folder and the home of whoever works here, where messages of errors name them."""
    if isinstance(value, Mapping):
        return {key: _anonymous(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_anonymous(each) for each in value]
    if isinstance(value, str):
        for folder, name in ((Path.cwd(), ""), (Path.home(), "~/")):
            # Whoever has no home of his own has "/".
            value = value.replace(f"{folder}/", name) if folder != Path("/") else value
    return value


LOG = logging.getLogger("tapemill.provenance")


def write_provenance(
    *,
    made: TapeFiles,
    wishes: Wishes,
    scenes: Mapping[str, Sequence[int]],
    target: Path,
    metadata: Path,
    workflow: Path,
) -> None:
    """Write `provenance.json` (`target`) of a finished tape, its RO-Crate (`metadata`), and a copy of the Snakefile.

    `scenes` are frame ranges of the capture by name, in order. An archive that takes the folder has to find the
    workflow in it, hence the copy (`workflow`). Raises InputError for a tape or a record that cannot be read.
    """
    document = describe(made, wishes, scenes)
    with atomic.staged(workflow) as partial:
        shutil.copyfile(ROOT / "Snakefile", partial)
    atomic.write_json(metadata, crate(document, folder=made.folder, workflow=workflow.name))
    atomic.write_text(target, sharing.text(document))
    changed = document["run"]["checkout"]["changed"]
    if changed:
        LOG.info("made with code that is in no commit: %s", ", ".join(changed[:5]) + (", …" if changed[5:] else ""))
    LOG.info("%d scenes, %d models: %s", len(scenes), len(document["how"]["models"]), target)
