"""Stage capture: probe and validate captures."""

from .validation import CaptureSettings

__all__ = ["CaptureSettings"]
