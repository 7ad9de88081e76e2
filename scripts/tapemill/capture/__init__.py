"""Stage capture: probe and validate what was digitised."""

from .validation import CaptureSettings

__all__ = ["CaptureSettings"]
