"""Stage enhance: a cut scene becomes a restored clip."""

from .chain import Chain, NetworkStep
from .clip import enhance_scene
from .encoders import choose_encoder, needs_choice
from .overrides import SceneSettings
from .picture import OutputPicture, output_picture
from .settings import EnhanceSettings

__all__ = [
    "Chain",
    "EnhanceSettings",
    "NetworkStep",
    "OutputPicture",
    "SceneSettings",
    "choose_encoder",
    "enhance_scene",
    "needs_choice",
    "output_picture",
]
