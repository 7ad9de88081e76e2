"""Section `tape` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TapeSettings:
    """Settings of the tape's file."""

    container: Literal["mkv", "mp4"]
    chapters: bool
    chapter_shortest_s: float
    subtitles_on: bool
    """Whether players show the first subtitle track by default."""
