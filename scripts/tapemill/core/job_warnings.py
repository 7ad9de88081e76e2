"""Warnings of a job that succeeded, but did its work otherwise than asked.

Functions of the stages return them, workers pass them on, the job's entry point writes them into its record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["kept", "stands_in", "empty", "lowered"]
"""`kept`: the original video of the scene is kept, not restored. `stands_in`: damaged frames are substituted by others.
`empty`: the scene has no subtitles. `lowered`: the work was downgraded to fit into memory."""

STANDS_IN_TAG = "TAPEMILL_STANDS_IN"
"""Matroska tag of a cut scene in which damaged frames are substituted: which ones. `enhance_scene` reads it."""

CUT_WITH_TAG = "TAPEMILL_CUT_WITH"
"""Matroska tag of a cut scene: the ffmpeg build and command line of the cut (JSON: `ffmpeg`, `command`)."""


@dataclass(frozen=True)
class JobWarning:
    """One warning."""

    kind: Kind
    reason: str
    """One line."""
    scene: str = ""
    """Name of the scene, if it is not the job's own."""


def clip_warnings(record: Mapping[str, Any], scene: str = "") -> Iterator[JobWarning]:
    """Yield the warnings in the record of a clip: original kept, frames substituted, networks downgraded."""
    if "kept_original" in record:
        yield JobWarning("kept", _error_line(record["kept_original"]), scene)
    if "stands_in" in record:
        yield JobWarning("stands_in", str(record["stands_in"]), scene)
    for network in record.get("networks", ()):
        if network.get("lowered"):
            yield JobWarning("lowered", f"{network['model']} ran on smaller tiles or fewer frames", scene)


def subtitle_warnings(record: Mapping[str, Any], scene: str = "") -> Iterator[JobWarning]:
    """Yield the warnings in the record of a scene's subtitles: left empty, recognition downgraded."""
    if "left_empty" in record:
        yield JobWarning("empty", _error_line(record["left_empty"]), scene)
    if "lowered" in record:
        lowered = record["lowered"]
        yield JobWarning("lowered", f"transcribed with {lowered['model']}, beam of {lowered['beam_size']}", scene)


def _error_line(entry: Mapping[str, Any]) -> str:
    return "{error}: {message}".format(**entry)
