"""Stage scenes: detect scenes, write their table, cut them.

The Snakefile imports this, so the detectors are imported only by the function that runs them.
"""

from .cut import cut_scene
from .detect import detect_scenes
from .settings import ScenesSettings
from .table import Scene, folder_scenes, read_scenes

__all__ = ["Scene", "ScenesSettings", "cut_scene", "detect_scenes", "folder_scenes", "read_scenes"]
