"""Command lines of ffmpeg, for running it and, without paths, for records."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path


def build_command(program: str, arguments: Sequence[str | Path], verbosity: str) -> list[str]:
    """Return the command line for `program`: the options that all runs share, then `arguments`."""
    return [program, "-hide_banner", "-nostdin", "-nostats", "-y", "-loglevel", verbosity, *map(str, arguments)]


def redact_paths(arguments: Sequence[str | Path], names: Mapping[str | Path, str]) -> str:
    """Return the command line of `arguments` for records, without paths: equal for equal work on any machine.

    `names` maps files, and other arguments that differ by machine, to names: each is replaced by its name in braces,
    also where a file's path is only the beginning of another.
    """
    command = [_named(argument, names) for argument in build_command("ffmpeg", arguments, "warning")]
    return " ".join(command).encode("utf-8", "backslashreplace").decode()


def _named(argument: str, names: Mapping[str | Path, str]) -> str:
    for path, name in names.items():
        if argument == str(path):
            return f"{{{name}}}"
        if argument.endswith(f",,:file:{path}"):
            return shlex.quote(argument.removesuffix(str(path))) + f"{{{name}}}"
        if argument.startswith(f"file:{path}"):
            rest = argument.removeprefix(f"file:{path}")
            return f"file:{{{name}}}" + (shlex.quote(rest) if rest else "")
    return shlex.quote(argument)


def sum_expression(terms: Sequence[str]) -> str:
    """Return ffmpeg's expression for the sum of some terms, in pairs: it parses no more than 100 nested ones."""
    if len(terms) < 2:
        return terms[0] if terms else "0"
    half = len(terms) // 2
    return f"({sum_expression(terms[:half])}+{sum_expression(terms[half:])})"
