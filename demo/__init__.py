"""The built-in demo: a tape of which everything is known, made by drawing, and a speech model that knows its words."""

from demo.tape.make_capture import make_capture
from demo.tape.storyboard import SCENES, DemoScene

__all__ = ["SCENES", "DemoScene", "make_capture"]
