"""Stage enhance: a cut scene becomes a restored clip."""

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
    "choose_encoder",
    "enhance_scene",
    "needs_choice",
    "plan_output_format",
]
