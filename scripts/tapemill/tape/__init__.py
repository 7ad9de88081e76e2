"""Stage tape: clips, sound, subtitles, chapters and facts become the one file that is kept."""

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
