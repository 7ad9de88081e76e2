"""Stage scenes: find the borders, write them down, cut."""

from .cutting import cut_scene
from .detection import detect_scenes
from .settings import ScenesSettings
from .table import Scene, folder_scenes, read_scenes

__all__ = ["Scene", "ScenesSettings", "cut_scene", "detect_scenes", "folder_scenes", "read_scenes"]
