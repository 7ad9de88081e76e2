"""Stage subtitles: what is said in a scene, as cues, and the cues of all scenes as the subtitles of the tape.

Importing this is light: torch and whisper are imported by the functions that run them.
"""

from .joining import join_subtitles
from .language import read_language, vote_language
from .scene import transcribe_scene
from .settings import SubtitlesSettings

__all__ = ["SubtitlesSettings", "join_subtitles", "read_language", "transcribe_scene", "vote_language"]
