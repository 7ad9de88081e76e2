"""Stage tape: clips, sound, subtitles, chapters and facts become the one file that is kept."""

from .chapters import Chapter, plan_chapters
from .mux import mux_tape
from .settings import TapeSettings
from .streams import SubtitleTrack
from .tags import TapeFacts, tags_of_work

__all__ = [
    "Chapter",
    "SubtitleTrack",
    "TapeFacts",
    "TapeSettings",
    "mux_tape",
    "plan_chapters",
    "tags_of_work",
]
