"""Versions of ffmpeg, of Python packages and of Tapemill itself, for records.

Jobs record the versions they used beside their outputs, so that they are known even if the tape is finished in another
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

# A wrong program in ffmpeg's place may take the last argument for its output: this one is no file.
VERSION_ARGS = ("-version", "-f", "null", "-")
UNKNOWN = "unknown"
PROJECT = Path(__file__).parents[4] / "pyproject.toml"


@dataclass(frozen=True)
class FfmpegBuild:
    """Version and build of an ffmpeg."""

    version: str
    configuration: str
    """Configure options, codecs among them."""
    libraries: Mapping[str, str]
    """Versions of its own libraries, by name."""
    id: str
    """Version and a hash of the whole output of `-version`: equal for equal builds only."""


def ffmpeg_build() -> FfmpegBuild | None:
    """Return the build of the ffmpeg in use, queried once; None for a program that works but reports no version.

    Raises ToolKilled, and SetupError if there is none.
    """
    return _query_build(ffmpeg.binary())


@cache
def _query_build(program: str) -> FfmpegBuild | None:
    try:
        with ffmpeg.pipe_out(VERSION_ARGS, concerns=Path(program), timeout_s=timeout_s()) as stream:
            output = stream.read().decode("utf-8", "replace")
    except ToolFailed as error:
        LOG.warning("%s does not report its version: %s", program, error.what)
        return None
    return parse_build(output)


def parse_build(output: str) -> FfmpegBuild | None:
    """Parse the output of `ffmpeg -version`; None if it is something else."""
    version = re.search(r"^ffmpeg version (\S+)", output, re.MULTILINE)
    if version is None:
        return None
    configuration = re.search(r"^\s*configuration: (.*)$", output, re.MULTILINE)
    libraries = re.findall(r"^\s*(lib\w+)\s+(\d+)\.\s*(\d+)\.\s*(\d+) /", output, re.MULTILINE)
    return FfmpegBuild(
        version=version[1],
        configuration=configuration[1].strip() if configuration else "",
        libraries={name: ".".join(numbers) for name, *numbers in libraries},
        id=f"{version[1]} ({hashlib.sha256(output.encode()).hexdigest()[:12]})",
    )


def tool_versions(*packages: str, with_ffmpeg: bool = False) -> dict[str, str]:
    """Return names and versions of programs for a record; packages by their names on PyPI.

    A build of torch for one kind of GPU (2.13.0+cpu, 2.13.0+xpu) is the same version.
    """
    build = ffmpeg_build() if with_ffmpeg else None
    ffmpegs = {"ffmpeg": build.id if build else UNKNOWN} if with_ffmpeg else {}
    return ffmpegs | {package: package_version(package).split("+")[0] for package in packages}


def package_version(package: str) -> str:
    """Return the installed version of a package, with its build."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return UNKNOWN


@cache
def tapemill_version() -> str:
    """Return the version of this checkout."""
    return str(tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"])
