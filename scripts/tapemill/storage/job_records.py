"""What is written down beside the parts of a tape: how each was made. The same for the same work, wherever it was done.

`enhanced/{scene}.json`, `subtitles/{scene}.json` and `sound.json` are written by their stages. What is put together of
them here says how the whole tape was made, in its tags and in its provenance.
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
from tapemill.core.job_warnings import JobWarning

from . import untrusted_text

LOG = logging.getLogger("tapemill.storage")

# Sections of the config that a tape is made with. The others say where and when, and never change a tape.
SECTIONS: Final = ("capture", "scenes", "audio", "subtitles", "enhance", "tape")
# Settings that may be paths of models: their place is nobody's affair, their content is known by its hash.
MODELS: Final = frozenset({"model", "frame_model", "vrt_model"})
PATHS: Final = frozenset({"file", "overrides"})
TAG_PREFIX: Final = "TAPEMILL_"
"""Of the tags by which a finished tape says how it was made."""

Programs = Mapping[str, Mapping[str, Sequence[str]]]
"""What was done, with which programs, in which versions: more than one if scenes were made at different times."""


def read(path: Path) -> dict[str, Any]:
    """A record; empty if there is none, or if it is damaged."""
    try:
        return untrusted_text.read_json(path, error=InputError, remedy="delete it")
    except FileNotFoundError:
        return {}
    except InputError as error:
        LOG.warning("%s: %s", path, error.what)
        return {}


def clip_record(folder: Path, scene: str) -> dict[str, Any]:
    """How the clip of a scene was made. `folder` is the tape's."""
    return read(folder / "enhanced" / f"{scene}.json")


def subtitle_record(folder: Path, scene: str, *, translated: bool = False) -> dict[str, Any]:
    """How the subtitles of a scene were made."""
    return read(folder / ("translated" if translated else "subtitles") / f"{scene}.json")


def audio_record(folder: Path) -> dict[str, Any]:
    """How the tape's sound was made."""
    return read(folder / "sound.json")


def programs_used(folder: Path, scenes: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """All programs that the records of a tape name."""
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
    """What a finished tape says of how it was made: names without prefix, in small letters; empty if it says nothing.

    `metadata` is the container's. In MP4 the facts stand in the comment, one a line.
    """
    found = {name.upper(): text for name, text in metadata.items()}
    found |= {name: text for name, _, text in (line.partition("=") for line in found.get("COMMENT", "").splitlines())}
    return {name.removeprefix(TAG_PREFIX).lower(): text for name, text in found.items() if name.startswith(TAG_PREFIX)}


def as_text(programs: Programs) -> str:
    """In one line, for a tag: "picture: ffmpeg 9.0, torch 2.13.0; tape: av 18.1.0"."""
    return "; ".join(
        f"{what}: " + ", ".join(f"{name} {version}" for name, versions in named.items() for version in versions)
        for what, named in programs.items()
    )


def from_text(text: str) -> dict[str, dict[str, list[str]]]:
    """The inverse of `as_text`; what does not look like it is left out."""
    programs: dict[str, dict[str, list[str]]] = {}
    for part in text.split("; "):
        what, _, listed = part.partition(": ")
        for entry in listed.split(", "):
            name, _, version = entry.partition(" ")
            if version:
                programs.setdefault(what, {}).setdefault(name, []).append(version)
    return programs


def without_paths(value: Any) -> Any:
    """A copy of settings or of a record in which models go by their file's name, and no other path is left."""
    if isinstance(value, Mapping):
        return {
            key: Path(each).name if key in MODELS and isinstance(each, str) else without_paths(each)
            for key, each in value.items()
            if key not in PATHS
        }
    return [without_paths(each) for each in value] if isinstance(value, list | tuple) else value


def digest(value: Any) -> str:
    """A few characters that are equal for equal JSON values."""
    text = json.dumps(without_paths(value), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def digests_of_settings(config: Mapping[str, Any]) -> str:
    """One for each section that the tape is made with, for a tag."""
    return " ".join(f"{section}={digest(config[section])}" for section in SECTIONS)


def digest_of_clips(folder: Path, scenes: Iterable[str]) -> str:
    """Of all that the records say of the clips: equal if each scene was made in the same way."""
    return digest([[scene, clip_record(folder, scene)] for scene in scenes])


def replaced(clips: Sequence[Path]) -> Iterator[JobWarning]:
    """Scenes whose picture is not restored, and those in which pictures stand in for damaged ones.

    Clips without a record, which somebody put there, are what they should be.
    """
    for clip in clips:
        try:
            record = json.loads(clip.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        if "kept_original" in record:
            yield JobWarning("kept", "{error}: {message}".format(**record["kept_original"]), scene=clip.stem)
        if "stands_in" in record:
            yield JobWarning("stands_in", record["stands_in"], scene=clip.stem)
