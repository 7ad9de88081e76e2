"""Errors by consequence: what the workflow does next depends only on the class.

`TransientError` is worth another attempt, `SceneError` concerns one scene alone, `FatalError` stops the run. Each
message names the file, the tool, its exit code, the last lines of its stderr and the remedy, where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

OnSceneFailure = Literal["keep_original", "stop"]
"""Setting `on_scene_failure`: a scene that cannot be processed goes into the tape as it is, or the tape is not made."""


def printable(path: Path | str) -> str:
    """Return a file name as one line that is safe on any terminal: line breaks and control characters are escaped.

    Bytes that are not UTF-8 are surrogates in a name, and are escaped too.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(path)
    )


class TapemillError(Exception):
    """Base of all errors raised on purpose. `exit_code` is the exit status of the job script (BSD sysexits.h)."""

    exit_code: ClassVar[int] = 70  # EX_SOFTWARE
    stops_run: ClassVar[bool] = False
    """Whether all remaining jobs would fail for the same reason, so that none of them is started."""

    def __init__(
        self,
        what: str,
        *,
        file: Path | str | None = None,
        tool: str | None = None,
        tool_exit_code: int | None = None,
        stderr_tail: Sequence[str] = (),
        remedy: str | None = None,
    ) -> None:
        # All arguments go to Exception so that the error survives pickling between a worker and its client.
        super().__init__(what)
        self.what = what
        self.file = None if file is None else Path(file)
        self.tool = tool
        self.tool_exit_code = tool_exit_code
        self.stderr_tail = tuple(stderr_tail)
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.file is not None:
            lines.append(f"  file: {printable(self.file)}")
        if self.tool is not None:
            code = "" if self.tool_exit_code is None else f" (exit code {self.tool_exit_code})"
            lines.append(f"  tool: {self.tool}{code}")
        lines.extend(f"  | {line}" for line in self.stderr_tail)
        if self.remedy is not None:
            lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)


class TransientError(TapemillError):
    """A temporary failure (killed tool, time-out, out of memory): the same job may succeed when tried again."""

    exit_code = 75  # EX_TEMPFAIL


class SceneError(TapemillError):
    """This scene cannot be processed (corrupt data, a clip that failed verification); others can."""

    exit_code = 65  # EX_DATAERR


class FatalError(TapemillError):
    """No job of this run can succeed before somebody changes something."""

    exit_code = 78  # EX_CONFIG
    stops_run = True


class ConfigError(FatalError):
    """An invalid setting or row of the tape sheet."""


class InputError(FatalError):
    """A capture that cannot be used: missing, not media, no video, no frames. Other tapes are not affected."""

    stops_run = False


class ModelError(FatalError):
    """A model file that is missing, unknown or not the one that was pinned."""


class SetupError(FatalError):
    """The machine lacks something the run needs (a tool, an encoder)."""


class DiskFull(FatalError):
    """A file system has too little free space. Finished results stay; the same command continues from there."""


class NotWritable(FatalError):
    """An output folder that cannot be written to."""


class UnfitDisk(FatalError):
    """A file system that lacks something a run relies on: locks, renaming, file times."""


class ToolFailed(SceneError):
    """A media tool ended with an exit code other than zero."""


class ToolKilled(TransientError):
    """A media tool was ended by a signal, or ran past its time limit and was killed."""


class GateError(SceneError):
    """An output that was written but failed verification (frame count, duration, format)."""


class WriteFailed(TransientError):
    """A disk reported an error while a tool wrote to it. That is no fault of the scene, and may not occur again."""


class OutOfMemory(TransientError):
    """A GPU, or the machine, had too little memory for a job. The next attempt begins one degrade level lower."""


class DeviceError(TransientError):
    """A GPU or its driver failed. It may work again in a new process."""


class WorkerLost(TransientError):
    """The worker of a lane died, or was stopped because it hung."""


class LaneError(FatalError):
    """An impossible lane: no such GPU, another GPU than expected, a visibility mask that contradicts it."""
