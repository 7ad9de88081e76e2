"""Fixtures of several unit tests."""

from doctoring import patient

__all__ = ["patient"]
