"""Stage enhance: a cut scene becomes a restored clip."""

from .clip import enhance_scene
from .encoders import choose_encoder, needs_choice
from .picture import OutputPicture, output_picture
from .settings import EnhanceSettings

__all__ = ["EnhanceSettings", "OutputPicture", "choose_encoder", "enhance_scene", "needs_choice", "output_picture"]
