"""Stage enhance: restore a cut scene into a clip."""

from tapemill.media.capture_info import VideoInfo
from tapemill.media.film.cadence import SceneFilm

from .chain import FRAME_MODEL, VRT_MODEL, Chain, NetworkStep, preset_chains
from .encoders import choose_encoder, needs_choice
from .enhance_scene import enhance_scene
from .output_format import OutputFormat, plan_output_format
from .scene_overrides import SceneSettings
from .settings import EnhanceSettings

__all__ = [
    "FRAME_MODEL",
    "VRT_MODEL",
    "Chain",
    "EnhanceSettings",
    "NetworkStep",
    "OutputFormat",
    "SceneFilm",
    "SceneSettings",
    "VideoInfo",
    "choose_encoder",
    "enhance_scene",
    "needs_choice",
    "plan_output_format",
    "preset_chains",
]
