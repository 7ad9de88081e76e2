"""Records beside the parts of a tape of how each was made: equal for equal work, on any machine.

`enhanced/{scene}.json`, `subtitles/{scene}.json` and `sound.json` are written by their stages. They are read and
combined here for the tags and the provenance of the whole tape.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import InputError
from tapemill.core.job_warnings import JobWarning, clip_warnings
from tapemill.core.result_paths import TapePaths

from . import untrusted_text

LOG = logging.getLogger("tapemill.storage")

# Sections of the config that a tape depends on. The others say where and when, and never change a tape.
SECTIONS: Final = ("capture", "scenes", "audio", "subtitles", "enhance", "tape")
# Settings that may be paths of models: only the file name is recorded, the content is known by its hash.
MODELS: Final = frozenset({"model", "frame_model", "vrt_model"})
PATHS: Final = frozenset({"file", "overrides"})
TAG_PREFIX: Final = "TAPEMILL_"
"""Prefix of the tags of a finished tape that document how it was made."""

Programs = Mapping[str, Mapping[str, Sequence[str]]]
"""Versions of programs by kind of work and program: more than one if scenes were made at different times."""


def read(path: Path) -> dict[str, Any]:
    """Read a record; empty if it is missing or damaged."""
    try:
        return untrusted_text.read_json(path, error=InputError, remedy="delete it")
    except FileNotFoundError:
        return {}
    except InputError as error:
        LOG.warning("%s: %s", path, error.what)
        return {}


def clip_record(folder: Path, scene: str) -> dict[str, Any]:
    """Read the record of a scene's enhanced clip. `folder` is the tape's."""
    return read(TapePaths(folder).clip_record(scene))


def subtitle_record(folder: Path, scene: str, *, translated: bool = False) -> dict[str, Any]:
    """Read the record of a scene's subtitles."""
    return read(TapePaths(folder).subtitle_record(scene, translated=translated))


def audio_record(folder: Path) -> dict[str, Any]:
    """Read the record of the tape's audio."""
    return read(TapePaths(folder).audio_record)


def programs_used(folder: Path, scenes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Collect all programs that the records of a tape name."""
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(what: str, versions: Mapping[str, str]) -> None:
        for name, version in versions.items():
            found[what][name].add(version)

    for scene in scenes:
        clip = clip_record(folder, scene)
        cut = clip.get("cut_with", {})
        add("cuts", {"ffmpeg": cut["ffmpeg"]} if cut else {})
        add("picture", clip.get("programs", {}))
        for translated in (False, True):
            add("words", subtitle_record(folder, scene, translated=translated).get("made_from", {}).get("versions", {}))
    add("sound", audio_record(folder).get("programs", {}))
    return {what: {name: sorted(each) for name, each in sorted(named.items())} for what, named in found.items()}


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return Tapemill's tags of a finished tape: names without prefix, in lower case; empty if it has none.

    `metadata` is the container's. In MP4 the tags are lines of the comment.
    """
    found = {name.upper(): text for name, text in metadata.items()}
    found |= {name: text for name, _, text in (line.partition("=") for line in found.get("COMMENT", "").splitlines())}
    return {name.removeprefix(TAG_PREFIX).lower(): text for name, text in found.items() if name.startswith(TAG_PREFIX)}


def as_text(programs: Programs) -> str:
    """Format programs as one line for a tag: "picture: ffmpeg 9.0, torch 2.13.0; tape: av 18.1.0"."""
    return "; ".join(
        f"{what}: " + ", ".join(f"{name} {version}" for name, versions in named.items() for version in versions)
        for what, named in programs.items()
    )


def from_text(text: str) -> dict[str, dict[str, list[str]]]:
    """Parse the output of `as_text`; parts of another form are left out."""
    programs: dict[str, dict[str, list[str]]] = {}
    for part in text.split("; "):
        what, _, listed = part.partition(": ")
        for entry in listed.split(", "):
            name, _, version = entry.partition(" ")
            if version:
                programs.setdefault(what, {}).setdefault(name, []).append(version)
    return programs


def without_paths(value: Any) -> Any:
    """Copy settings or a record without paths: models are reduced to their file names, other paths removed."""
    if isinstance(value, Mapping):
        return {
            key: Path(each).name if key in MODELS and isinstance(each, str) else without_paths(each)
            for key, each in value.items()
            if key not in PATHS
        }
    return [without_paths(each) for each in value] if isinstance(value, list | tuple) else value


def digest(value: Any) -> str:
    """Return a short hash, equal for equal JSON values."""
    text = json.dumps(without_paths(value), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def digests_of_settings(config: Mapping[str, Any]) -> str:
    """Return one digest for each section that a tape depends on, for a tag."""
    return " ".join(f"{section}={digest(config[section])}" for section in SECTIONS)


def digest_of_clips(folder: Path, scenes: Iterable[str]) -> str:
    """Return the digest of all clip records: equal if each scene was made in the same way."""
    return digest([[scene, clip_record(folder, scene)] for scene in scenes])


def replaced(clips: Sequence[Path]) -> Iterator[JobWarning]:
    """Yield warnings for scenes whose original video was kept, and for those with substituted frames.

    Clips without a record, which somebody put there, count as regular.
    """
    for clip in clips:
        try:
            record = json.loads(clip.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        yield from (each for each in clip_warnings(record, clip.stem) if each.kind != "lowered")
