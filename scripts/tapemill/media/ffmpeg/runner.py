"""Runner of ffmpeg: the only module that starts a media process.

Arguments are lists and never pass a shell. Inputs are opened with the `file:` protocol and whitelists of protocols and
formats, so that no name is parsed as an option or a URL, and no file makes ffmpeg open another one.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import IO

from tapemill.core.errors import SetupError, TapemillError, ToolFailed

from .command import build_command
from .exit_status import TAIL_LINES, RunLimits, raise_for_exit_status
from .limits import MAX_PIXELS

LOG = logging.getLogger("tapemill.media")

PROTOCOLS = "file,pipe"
# Formats of captures, by libavformat's names. Each of these reads the one file that it is given (QuickTime's
# references to others are off unless asked for). Left out is what opens further files, even local ones: playlists and
# manifests (hls, dash, imf, concat, sdp), scripts (avisynth), numbered images (image2: a name with %d in it), vobsub,
# devices; and all formats that no tape is digitised to. Audio formats are listed so that they are refused for lack of
# video.
DEMUXERS = ",".join(
    (
        *("matroska", "webm", "mov", "mp4", "avi", "mpeg", "mpegts", "mpegvideo", "m4v", "dv", "mxf", "asf", "flv"),
        *("ogg", "nut", "yuv4mpegpipe", "wav", "flac", "mp3"),
    )
)
# Same bytes for the same input: no encoder versions, no dates, no random ids in containers and streams.
BITEXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
# Scaling and pixel format conversion alike on every machine, whatever SIMD it has.
BITEXACT_SCALING = ("-sws_flags", "lanczos+accurate_rnd+full_chroma_int+bitexact")

# For inputs with video: larger frames are not decoded.
PICTURE_LIMIT = ("-max_pixels", str(MAX_PIXELS))
# For inputs whose container has players crop frames: only codecs do. Not an option of ffmpeg before 7.1, which never
# applies a container's crop.
WHOLE_FRAME = ("-apply_cropping", "codec")
# FFV1's decoder conceals damage with the frame before, and reports it on stderr only.
CUT_DAMAGE = "slice CRC mismatch"

# Time that a process needs to exit after it closed its pipes.
EXIT_GRACE_S = 1.0
# Lines of stderr that are kept: of a verbose run, and of one that only prints warnings.
MAX_LINES, MAX_WARNINGS = 100_000, 1000
# Length of a progress line; a program that is not ffmpeg may write anything.
MAX_REPORT_BYTES = 4096
PROGRESS_ARGS = ("-progress", "pipe:1", "-stats_period", "1")

_configured: str | None = None


def set_binary(program: str | None) -> None:
    """Use this ffmpeg (setting `ffmpeg`) in this process, or with None the bundled one."""
    global _configured  # noqa: PLW0603  one ffmpeg for the whole process
    _configured = program


@cache
def _bundled() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise SetupError("no ffmpeg was found", tool="imageio-ffmpeg", remedy="run `make setup` again") from error


def binary() -> str:
    """Return the ffmpeg in use: the configured one, or the one of the imageio-ffmpeg wheel."""
    return _configured or _bundled()


def input_args(path: Path, *, options: Sequence[str] = ()) -> list[str]:
    """Return arguments that open one input file, whatever its name. `options` apply to this input.

    With `-f` among them it is opened as that format, and as one of `DEMUXERS` otherwise.
    """
    formats = options[options.index("-f") + 1] if "-f" in options else DEMUXERS
    return [*options, "-protocol_whitelist", PROTOCOLS, "-format_whitelist", formats, "-i", f"file:{path}"]


def output_args(path: Path, muxer: str) -> list[str]:
    """Return arguments that name the output file, whatever its name and suffix."""
    return ["-f", muxer, f"file:{path}"]


def run(
    arguments: Sequence[str | Path],
    *,
    concerns: Path,
    timeout_s: float,
    verbosity: str = "warning",
    max_output_bytes: int | None = None,
    forbidden: str | None = None,
    reached: Callable[[int], None] | None = None,
    reached_s: Callable[[float], None] | None = None,
) -> str:
    """Run ffmpeg to its end and return its stderr.

    `concerns` is the file named in errors. `reached` is called every second with the number of frames encoded so far,
    `reached_s` with the seconds.
    Raises ToolFailed on an exit code other than 0, if a file exceeds `max_output_bytes`, or if stderr contains the text
    `forbidden`; ToolKilled if it was ended by a signal or ran longer than `timeout_s` seconds; DiskFull; SetupError if
    there is no such program.
    """
    limits = RunLimits(timeout_s, max_output_bytes, forbidden)
    progress_args, capture = (PROGRESS_ARGS, subprocess.PIPE) if reached or reached_s else ((), None)
    with _started([*progress_args, *arguments], concerns, limits, verbosity, capture=capture) as (process, lines):
        if process.stdout:
            _read_reports(process.stdout, reached, reached_s)
    return "\n".join(lines)


@contextmanager
def pipe_out(
    arguments: Sequence[str | Path], *, concerns: Path, timeout_s: float, forbidden: str | None = None
) -> Iterator[IO[bytes]]:
    """Run ffmpeg with `pipe:1` as its output and yield that stream. Raises like `run`, when the block ends.

    Leaving the block early (by an exception) kills the process.
    """
    limits = RunLimits(timeout_s, None, forbidden)
    with _started(arguments, concerns, limits, "warning", capture=subprocess.PIPE) as (process, _):
        assert process.stdout is not None
        yield process.stdout


@contextmanager
def pipe_in(
    arguments: Sequence[str | Path], *, concerns: Path, timeout_s: float, max_output_bytes: int | None = None
) -> Iterator[IO[bytes]]:
    """Run ffmpeg with `pipe:0` as an input and yield the stream that feeds it. Raises like `run`, when the block ends.

    The end of the block is the end of the input. Leaving it early (by an exception) kills the process.
    """
    limits = RunLimits(timeout_s, max_output_bytes, None)
    started = _started(arguments, concerns, limits, "warning", capture=None, feed=subprocess.PIPE)
    with started as (process, _):
        assert process.stdin is not None
        try:
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError as error:
            # ffmpeg ended before its input did: its exit code and stderr say why, unless the code is 0.
            if wait_for_exit(process) == 0:
                raise ToolFailed(
                    "ffmpeg ended before it had read all its input",
                    file=concerns,
                    tool=binary(),
                    tool_exit_code=0,
                    remedy="check the setting `ffmpeg`: that program does not do what ffmpeg does",
                ) from error


@contextmanager
def _started(
    arguments: Sequence[str | Path],
    concerns: Path,
    limits: RunLimits,
    verbosity: str,
    *,
    capture: int | None,
    feed: int = subprocess.DEVNULL,
) -> Iterator[tuple[subprocess.Popen[bytes], Sequence[str]]]:
    command = build_command(binary(), arguments, verbosity)
    LOG.info("%s", shlex.join(command).encode("utf-8", "backslashreplace").decode())
    try:
        process = subprocess.Popen(
            command,
            stdin=feed,
            stdout=capture,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=partial(limit_child, limits.max_output_bytes),  # noqa: PLW1509  three system calls, no locks
        )
    except OSError as error:
        raise SetupError(
            f"ffmpeg could not be started: {error.strerror}",
            tool=command[0],
            remedy="correct the setting `ffmpeg`, or leave it empty to use the one that was installed",
        ) from error
    lines: deque[str] = deque(maxlen=MAX_WARNINGS if verbosity == "warning" else MAX_LINES)
    forbidden_lines: list[str] = []
    reader = threading.Thread(
        target=_drain, args=(process.stderr, lines, limits.forbidden, forbidden_lines), daemon=True
    )
    reader.start()
    sweeper = threading.Thread(target=kill_leftovers, args=(process,), daemon=True)
    sweeper.start()
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        kill_group(process)

    timer = threading.Timer(limits.timeout_s, expire)
    timer.daemon = True
    timer.start()
    block_error: Exception | None = None
    try:
        yield process, lines
        wait_for_exit(process)
    except Exception as error:
        # The error of the block is often caused by the end of the process, which is then the error to raise.
        sweeper.join(EXIT_GRACE_S)
        if sweeper.is_alive():
            raise
        block_error = error
    finally:
        timer.cancel()
        kill_group(process)
        sweeper.join()
        process.wait()
        reader.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            # Closing the feed flushes it, and the reader may be gone.
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
    tail = list(lines)[-TAIL_LINES:]
    try:
        raise_for_exit_status(
            process.returncode,
            concerns=concerns,
            tail=tail,
            forbidden_lines=forbidden_lines,
            limits=limits,
            timed_out=expired.is_set(),
        )
    except TapemillError as error:
        raise error from block_error
    if block_error is not None:
        raise block_error


def _read_reports(
    stream: IO[bytes], reached: Callable[[int], None] | None, reached_s: Callable[[float], None] | None
) -> None:
    """Read the output of `-progress`, lines of key=value, to its end."""
    while line := stream.readline(MAX_REPORT_BYTES):
        key, _, value = line.strip().partition(b"=")
        if reached and key == b"frame" and value.isdigit():
            reached(int(value))
        # The value is "N/A" while nothing is written.
        if reached_s and key == b"out_time_us" and value.isdigit():
            reached_s(int(value) / 1e6)


def _drain(stream: IO[bytes], lines: deque[str], forbidden: str | None, forbidden_lines: list[str]) -> None:
    """Collect the last lines, and the first ones that contain `forbidden`."""
    for raw in stream:
        line = raw.decode("utf-8", "replace").rstrip()
        lines.append(line)
        if forbidden is not None and forbidden in line and len(forbidden_lines) < TAIL_LINES:
            forbidden_lines.append(line)
        LOG.info("  %s", line)


PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def limit_child(max_output_bytes: int | None) -> None:
    """In the new process: let the kernel kill it with its parent (prctl(2)), and limit the size of its files."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if max_output_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_output_bytes, max_output_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def wait_for_exit(process: subprocess.Popen[bytes]) -> int:
    """Wait until the process has ended, without reaping it: until then its number is not used again.

    Returns the exit code, or the signal that ended it.
    """
    with suppress(ChildProcessError):
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return ended.si_status if ended else 0
    return process.wait()


def kill_leftovers(process: subprocess.Popen[bytes]) -> None:
    """Kill what the process leaves behind when it ends, or its pipes would never close."""
    wait_for_exit(process)
    kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and everything it started; it leads its own process group."""
    if process.returncode is None:
        # It may end between the check and the signal.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
