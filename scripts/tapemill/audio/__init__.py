"""Stage audio: the tape's own sound, and what the speech model hears of it."""

from .cleaning import AudioSettings
from .track import clean_sound

__all__ = ["AudioSettings", "clean_sound"]
