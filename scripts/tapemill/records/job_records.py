"""Readers of the records of a tape's parts, for its tags, its provenance and its report."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tapemill.core.errors import InputError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.result_paths import TapePaths
from tapemill.storage import untrusted_text
from tapemill.storage.typed_json import read_record

from .audio import AudioRecord
from .clip import ClipRecord
from .subtitles import SubtitleRecord

LOG = logging.getLogger("tapemill.records")

Record = TypeVar("Record")
Programs = Mapping[str, Mapping[str, Sequence[str]]]
"""Versions by stage and program: more than one if scenes were made at different times."""


def read(kind: type[Record], path: Path) -> Record | None:
    """Read a record; None if it is missing or damaged."""
    try:
        return read_record(kind, path, error=InputError, remedy="delete it")
    except FileNotFoundError:
        return None
    except InputError as error:
        LOG.warning("%s: %s", path, error.what)
        return None


def clip_record(folder: Path, scene: str) -> ClipRecord | None:
    """Read the record of a scene's enhanced clip. `folder` is the tape's."""
    return read(ClipRecord, TapePaths(folder).clip_record(scene))


def subtitle_record(folder: Path, scene: str, *, translated: bool = False) -> SubtitleRecord | None:
    """Read the record of a scene's subtitles."""
    return read(SubtitleRecord, TapePaths(folder).subtitle_record(scene, translated=translated))


def audio_record(folder: Path) -> AudioRecord | None:
    """Read the record of the tape's audio."""
    return read(AudioRecord, TapePaths(folder).audio_record)


def programs_used(folder: Path, scenes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Collect all programs that the records of a tape name, by stage."""
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(stage: str, versions: Mapping[str, str]) -> None:
        for name, version in versions.items():
            found[stage][name].add(version)

    for scene in scenes:
        if clip := clip_record(folder, scene):
            add("scenes", {"ffmpeg": clip.cut_with.ffmpeg} if clip.cut_with and clip.cut_with.ffmpeg else {})
            add("enhance", clip.programs)
        for translated in (False, True):
            subtitles = subtitle_record(folder, scene, translated=translated)
            add("subtitles", subtitles.made_from.versions if subtitles and subtitles.made_from else {})
    if audio := audio_record(folder):
        add("audio", audio.programs)
    return {stage: {name: sorted(each) for name, each in sorted(named.items())} for stage, named in found.items()}


def clip_values(folder: Path, scenes: Iterable[str]) -> list[tuple[str, Mapping[str, object]]]:
    """Read the clip records as they are in their files, for a digest; empty where there is none, or a damaged one.

    The hash of the clip is left out: it is no part of how the clip was made, and GPUs round differently.
    """
    return [(scene, _how_made(TapePaths(folder).clip_record(scene))) for scene in scenes]


def _how_made(path: Path) -> Mapping[str, object]:
    try:
        values = untrusted_text.read_json(path, error=InputError, remedy="delete it")
        return {name: value for name, value in values.items() if name != "sha256"}
    except (FileNotFoundError, InputError):
        return {}


def replaced(records: Mapping[str, ClipRecord]) -> Iterator[JobWarning]:
    """Yield warnings for scenes whose original video was kept, and for those with substituted frames.

    `records` are those of the clips, by scene. Clips without a record, which somebody put there, count as regular.
    """
    for scene, record in records.items():
        yield from (each for each in record.warnings(scene) if each.kind != "lowered")
