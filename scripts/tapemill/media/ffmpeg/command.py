"""Command lines of ffmpeg: as they are run, and as records keep them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path


def build_command(program: str, arguments: Sequence[str | Path], verbosity: str) -> list[str]:
    """How `ffmpeg` starts a program; `arguments` follow what all its commands have in common."""
    return [program, "-hide_banner", "-nostdin", "-nostats", "-y", "-loglevel", verbosity, *map(str, arguments)]


def redact_paths(arguments: Sequence[str | Path], names: Mapping[str | Path, str]) -> str:
    """The command line that `ffmpeg` makes of `arguments`, for records: without places.

    `names` are of files, and of arguments that are places by themselves: each becomes its name in braces, also where a
    file's path is only the beginning of another. What is left is the same for the same work on any machine.
    """
    command = [_named(argument, names) for argument in build_command("ffmpeg", arguments, "warning")]
    return " ".join(command).encode("utf-8", "backslashreplace").decode()


def _named(argument: str, names: Mapping[str | Path, str]) -> str:
    for place, name in names.items():
        if argument == str(place):
            return f"{{{name}}}"
        if argument.startswith(f"file:{place}"):
            rest = argument.removeprefix(f"file:{place}")
            return f"file:{{{name}}}" + (shlex.quote(rest) if rest else "")
    return shlex.quote(argument)
