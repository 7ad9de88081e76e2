"""Stage tape: mux clips, audio, subtitles, chapters and tags into the file of the tape."""

from .chapters import Chapter, plan_chapters
from .mux import mux_tape
from .settings import TapeSettings
from .streams import SubtitleTrack
from .tags import TapeDescription, build_tags

__all__ = [
    "Chapter",
    "SubtitleTrack",
    "TapeDescription",
    "TapeSettings",
    "build_tags",
    "mux_tape",
    "plan_chapters",
]
