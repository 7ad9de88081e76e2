"""Stage capture: probe and validate captures."""

from .settings import CaptureSettings

__all__ = ["CaptureSettings"]
