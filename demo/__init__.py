"""Built-in demo: a synthetic tape with known content, and a speech model for its words."""

from demo.tape.make_capture import make_capture
from demo.tape.storyboard import SCENES, DemoScene

__all__ = ["SCENES", "DemoScene", "make_capture"]
