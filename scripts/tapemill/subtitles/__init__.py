"""Stage subtitles: transcribe each scene into cues, and join the cues of all scenes into the subtitles of the tape.

Importing this package is cheap: torch and whisper are imported by the functions that run them.
"""

from .join import join_subtitles
from .language_vote import read_language, vote_language
from .settings import SubtitlesSettings
from .transcribe_scene import transcribe_scene

__all__ = ["SubtitlesSettings", "join_subtitles", "read_language", "transcribe_scene", "vote_language"]
