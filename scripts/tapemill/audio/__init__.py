"""Stage audio: the tape's own sound, and what the speech model hears of a scene."""

from .clean import clean_sound
from .filters import AudioSettings
from .speech_input import extract_audio

__all__ = ["AudioSettings", "clean_sound", "extract_audio"]
