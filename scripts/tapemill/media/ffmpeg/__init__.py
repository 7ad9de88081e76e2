"""Runs of ffmpeg. The only package that starts a media process."""

from .runner import (
    BITEXACT,
    BITEXACT_SCALING,
    CUT_DAMAGE,
    PICTURE_LIMIT,
    binary,
    reading,
    run,
    source,
    target,
    use,
    writing,
)

__all__ = [
    "BITEXACT",
    "BITEXACT_SCALING",
    "CUT_DAMAGE",
    "PICTURE_LIMIT",
    "binary",
    "reading",
    "run",
    "source",
    "target",
    "use",
    "writing",
]
