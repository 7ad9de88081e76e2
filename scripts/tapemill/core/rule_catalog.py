"""Which stage a rule belongs to: the word of its file under rules/."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

STAGES: Final = ("capture", "scenes", "audio", "subtitles", "enhance", "tape")
OTHER: Final = "other"
"""What is no work on tapes: models, the demo, cleaning up."""

STAGE_OF: Final = MappingProxyType(
    {
        "probe_capture": "capture",
        "hash_capture": "capture",
        "detect_scenes": "scenes",
        "cut_scene": "scenes",
        "extract_audio": "audio",
        "clean_sound": "audio",
        "detect_language": "subtitles",
        "transcribe_scene": "subtitles",
        "translate_scene": "subtitles",
        "join_subtitles": "subtitles",
        "join_translations": "subtitles",
        "choose_encoder": "enhance",
        "enhance_scene": "enhance",
        "mux_tape": "tape",
        "write_provenance": "tape",
    }
)
CHECKPOINTS: Final = frozenset({"detect_scenes", "detect_language"})
"""Rules after which there may be more jobs than were planned."""


def stage_of(rule: str) -> str:
    """The stage of a rule."""
    return STAGE_OF.get(rule, OTHER)
