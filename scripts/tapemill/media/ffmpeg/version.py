"""Which programs do the work: versions of ffmpeg, of Python packages and of Tapemill itself, for records.

Jobs write down what they used beside what they made, so that it is still known when the tape is finished in another
run, with other versions.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from tapemill.core.errors import ToolFailed
from tapemill.media import ffmpeg

from .limits import timeout_s

LOG = logging.getLogger("tapemill.media")

# A wrong program in ffmpeg's place takes the last word for its output: this one is no file.
VERSION_ARGS = ("-version", "-f", "null", "-")
UNKNOWN = "unknown"
PROJECT = Path(__file__).parents[4] / "pyproject.toml"


@dataclass(frozen=True)
class FfmpegBuild:
    """Which ffmpeg it is."""

    version: str
    configuration: str
    """What it was built with, codecs among them."""
    libraries: Mapping[str, str]
    """Versions of its own libraries, by name."""
    id: str
    """Version and a hash of all that it says of itself: equal for equal builds alone."""


def ffmpeg_build() -> FfmpegBuild | None:
    """The ffmpeg in use, asked once; None for a program that does its work but does not say what it is.

    Raises ToolKilled, and SetupError if there is none.
    """
    return _query_build(ffmpeg.binary())


@cache
def _query_build(program: str) -> FfmpegBuild | None:
    try:
        with ffmpeg.pipe_out(VERSION_ARGS, concerns=Path(program), timeout_s=timeout_s()) as stream:
            said = stream.read().decode("utf-8", "replace")
    except ToolFailed as error:
        LOG.warning("%s does not say which version it is: %s", program, error.what)
        return None
    return parse_build(said)


def parse_build(said: str) -> FfmpegBuild | None:
    """From what `ffmpeg -version` prints; None if that is something else."""
    version = re.search(r"^ffmpeg version (\S+)", said, re.MULTILINE)
    if version is None:
        return None
    configuration = re.search(r"^\s*configuration: (.*)$", said, re.MULTILINE)
    libraries = re.findall(r"^\s*(lib\w+)\s+(\d+)\.\s*(\d+)\.\s*(\d+) /", said, re.MULTILINE)
    return FfmpegBuild(
        version=version[1],
        configuration=configuration[1].strip() if configuration else "",
        libraries={name: ".".join(numbers) for name, *numbers in libraries},
        id=f"{version[1]} ({hashlib.sha256(said.encode()).hexdigest()[:12]})",
    )


def tool_versions(*packages: str, with_ffmpeg: bool = False) -> dict[str, str]:
    """What a record says of programs: names with versions; packages by their names on PyPI.

    A build of torch for one kind of card (2.13.0+cpu, 2.13.0+xpu) is the same version.
    """
    build = ffmpeg_build() if with_ffmpeg else None
    ffmpegs = {"ffmpeg": build.id if build else UNKNOWN} if with_ffmpeg else {}
    return ffmpegs | {package: package_version(package).split("+")[0] for package in packages}


def package_version(package: str) -> str:
    """The installed version, with its build."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return UNKNOWN


@cache
def tapemill_version() -> str:
    """The version of this checkout."""
    return str(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"])
