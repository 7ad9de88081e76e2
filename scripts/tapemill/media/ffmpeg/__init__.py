"""Runs of ffmpeg. The only package that starts a media process."""

from .runner import (
    BITEXACT,
    BITEXACT_SCALING,
    CUT_DAMAGE,
    PICTURE_LIMIT,
    WHOLE_FRAME,
    binary,
    input_args,
    output_args,
    pipe_in,
    pipe_out,
    run,
    set_binary,
)

__all__ = [
    "BITEXACT",
    "BITEXACT_SCALING",
    "CUT_DAMAGE",
    "PICTURE_LIMIT",
    "WHOLE_FRAME",
    "binary",
    "input_args",
    "output_args",
    "pipe_in",
    "pipe_out",
    "run",
    "set_binary",
]
