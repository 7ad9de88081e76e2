"""The built-in demo: a tape of which everything is known, made by drawing, and a speech model that knows its words."""

from .capture import make_capture
from .plan import SCENES, DemoScene

__all__ = ["SCENES", "DemoScene", "make_capture"]
