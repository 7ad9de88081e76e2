"""What a job that ended well has to tell: it did its work, but not as it was asked to.

Functions of the stages return notices, workers pass them on, `script.run` writes them into the job's note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["kept", "stands_in", "empty", "lowered"]
"""`kept`: the picture of the scene is not restored. `stands_in`: other pictures take the place of damaged ones.
`empty`: the scene has no subtitles. `lowered`: the work was done with less memory than it should have."""

STANDS_IN_TAG = "TAPEMILL_STANDS_IN"
"""Tag of a cut scene (Matroska) in which pictures stand in for others: says which. `enhance_scene` reads it."""

CUT_WITH_TAG = "TAPEMILL_CUT_WITH"
"""Another such tag: which ffmpeg made the cut, and with which command (JSON: `ffmpeg`, `command`)."""


@dataclass(frozen=True)
class JobWarning:
    """One thing to tell."""

    kind: Kind
    reason: str
    """One line."""
    scene: str = ""
    """Name of the scene, if it is not the job's own."""
