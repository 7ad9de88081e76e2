"""Warnings of a job that succeeded, but did its work otherwise than asked.

Functions of the stages return them, workers pass them on, the job's entry point writes them into its record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
