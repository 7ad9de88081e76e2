"""Stage enhance: restore a cut scene into a clip."""

from tapemill.media.capture_info import VideoInfo

from .chain import Chain, NetworkStep
from .encoders import choose_encoder, needs_choice
from .enhance_scene import enhance_scene
from .output_format import OutputFormat, plan_output_format
from .scene_overrides import SceneSettings
from .settings import EnhanceSettings

__all__ = [
    "Chain",
    "EnhanceSettings",
    "NetworkStep",
    "OutputFormat",
    "SceneSettings",
    "VideoInfo",
    "choose_encoder",
    "enhance_scene",
    "needs_choice",
    "plan_output_format",
]
