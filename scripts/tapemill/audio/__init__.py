"""Stage audio: the tape's own sound, and what the speech model hears of a scene."""

from .cleaning import AudioSettings
from .speech_audio import extract_audio
from .track import clean_sound

__all__ = ["AudioSettings", "clean_sound", "extract_audio"]
