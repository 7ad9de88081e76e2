"""Tags of a finished tape that document how it was made: their texts, and the digests in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from .job_records import Programs, clip_values

TAG_PREFIX: Final = "TAPEMILL_"
"""Prefix of the tags."""

# Sections of the config that a tape depends on. The others concern the run, and never change a tape.
SECTIONS: Final = ("capture", "scenes", "audio", "subtitles", "enhance", "tape")
# Settings that may be paths of models: only the file name is recorded, the content is known by its hash.
MODELS: Final = frozenset({"model", "frame_model", "vrt_model"})
PATHS: Final = frozenset({"file", "overrides"})
# Words of the tag `programs`, which keeps its text from version to version, for the stages.
WORDS: Final[Mapping[str, str]] = {
    "scenes": "cuts",
    "enhance": "picture",
    "subtitles": "words",
    "audio": "sound",
    "tape": "tape",
}


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return Tapemill's tags of a finished tape: names without prefix, in lower case; empty if it has none.

    `metadata` is the container's. In MP4 the tags are lines of the comment.
    """
    found = {name.upper(): text for name, text in metadata.items()}
    found |= {name: text for name, _, text in (line.partition("=") for line in found.get("COMMENT", "").splitlines())}
    return {name.removeprefix(TAG_PREFIX).lower(): text for name, text in found.items() if name.startswith(TAG_PREFIX)}


def format_programs(programs: Programs) -> str:
    """Format programs as one line for a tag: "picture: ffmpeg 9.0, torch 2.13.0; tape: av 18.1.0"."""
    return "; ".join(
        f"{WORDS[stage]}: " + ", ".join(f"{name} {version}" for name, versions in named.items() for version in versions)
        for stage, named in programs.items()
    )


def parse_programs(text: str) -> dict[str, dict[str, list[str]]]:
    """Parse the output of `format_programs`; parts of another form are left out."""
    stages = {word: stage for stage, word in WORDS.items()}
    programs: dict[str, dict[str, list[str]]] = {}
    for part in text.split("; "):
        word, _, listed = part.partition(": ")
        for entry in listed.split(", "):
            name, _, version = entry.partition(" ")
            if version:
                programs.setdefault(stages.get(word, word), {}).setdefault(name, []).append(version)
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
    return digest(clip_values(folder, scenes))
