"""The only place that starts a media process.

Arguments are lists and never pass a shell. Inputs are opened with the `file:` protocol and whitelists of protocols and
formats, so that no name is taken for an option or an address, and no file makes ffmpeg open another one.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from .errors import SetupError, ToolFailed, ToolKilled

LOG = logging.getLogger("tapemill.ffmpeg")

TAIL_LINES = 12
PROTOCOLS = "file,pipe"
# What captures come in, by libavformat's names. Each of these reads the one file that it is given (QuickTime's
# references to others are off unless asked for). Left out is what opens further files, even local ones: playlists and
# manifests (hls, dash, imf, concat, sdp), scripts (avisynth), numbered pictures (image2: a name with %d in it), vobsub,
# devices; and all that no tape is digitised to. Formats of sound alone are there to be refused for having no picture.
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

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_configured: str | None = None


def use(program: str | None) -> None:
    """Take another ffmpeg (setting `ffmpeg`) than the one that came with the environment, for this process."""
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
    """The ffmpeg in use: the configured one, or the one of the imageio-ffmpeg wheel."""
    return _configured or _bundled()


def source(path: Path, *, options: Sequence[str] = ()) -> list[str]:
    """Arguments that open one input file, whatever its name. `options` apply to this input.

    With `-f` among them it is opened as that format, and as one of `DEMUXERS` otherwise.
    """
    formats = options[options.index("-f") + 1] if "-f" in options else DEMUXERS
    return [*options, "-protocol_whitelist", PROTOCOLS, "-format_whitelist", formats, "-i", f"file:{path}"]


def target(path: Path, muxer: str) -> list[str]:
    """Arguments that name the output file, whatever its name and suffix."""
    return ["-f", muxer, f"file:{path}"]


def run(arguments: Sequence[str | Path], *, concerns: Path, timeout_s: float, verbosity: str = "warning") -> str:
    """Run ffmpeg to its end and return what it wrote to stderr.

    `concerns` is the file named in errors. Raises ToolFailed on an exit code other than 0, ToolKilled when it was ended
    by a signal or ran longer than `timeout_s` seconds, SetupError if there is no such program.
    """
    with _started(arguments, concerns, timeout_s, verbosity, capture=None) as (_, lines):
        pass
    return "\n".join(lines)


@contextmanager
def reading(
    arguments: Sequence[str | Path], *, concerns: Path, timeout_s: float, verbosity: str = "warning"
) -> Iterator[IO[bytes]]:
    """Run ffmpeg with `pipe:1` as its output and yield that stream. Raises like `run`, when the block ends.

    Leaving the block early (by an exception) kills the process.
    """
    with _started(arguments, concerns, timeout_s, verbosity, capture=subprocess.PIPE) as (process, _):
        assert process.stdout is not None
        yield process.stdout


@contextmanager
def writing(
    arguments: Sequence[str | Path], *, concerns: Path, timeout_s: float, verbosity: str = "warning"
) -> Iterator[IO[bytes]]:
    """Run ffmpeg with `pipe:0` as an input and yield the stream that feeds it. Raises like `run`, when the block ends.

    The end of the block is the end of the input. Leaving it early (by an exception) kills the process.
    """
    started = _started(arguments, concerns, timeout_s, verbosity, capture=None, feed=subprocess.PIPE)
    with started as (process, _):
        assert process.stdin is not None
        try:
            yield process.stdin
            process.stdin.close()
        except BrokenPipeError:
            # ffmpeg ended before its input did: its exit code and last words say why, unless it says all is well.
            if process.wait() == 0:
                raise


@contextmanager
def _started(
    arguments: Sequence[str | Path],
    concerns: Path,
    timeout_s: float,
    verbosity: str,
    *,
    capture: int | None,
    feed: int = subprocess.DEVNULL,
) -> Iterator[tuple[subprocess.Popen[bytes], Sequence[str]]]:
    command = [binary(), "-hide_banner", "-nostdin", "-nostats", "-y", "-loglevel", verbosity, *map(str, arguments)]
    LOG.info("%s", shlex.join(command).encode("utf-8", "backslashreplace").decode())
    try:
        process = subprocess.Popen(
            command,
            stdin=feed,
            stdout=capture,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one call into libc, no locks, no allocation
        )
    except OSError as error:
        raise SetupError(
            f"ffmpeg could not be started: {error.strerror}",
            tool=command[0],
            remedy="correct the setting `ffmpeg`, or leave it empty to use the one that was installed",
        ) from error
    lines: deque[str] = deque(maxlen=None if verbosity != "warning" else 1000)
    reader = threading.Thread(target=_drain, args=(process.stderr, lines), daemon=True)
    reader.start()
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(timeout_s, expire)
    timer.daemon = True
    timer.start()
    try:
        yield process, lines
        process.wait()
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
        reader.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            # Closing the feed flushes it, and nobody may be left to read that.
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
    _check(process.returncode, concerns, list(lines)[-TAIL_LINES:], timeout_s if expired.is_set() else None)


def _check(code: int, concerns: Path, tail: Sequence[str], expired_after_s: float | None) -> None:
    if expired_after_s is not None:
        raise ToolKilled(
            f"ffmpeg was stopped after its time limit of {expired_after_s:.0f} s",
            file=concerns,
            tool="ffmpeg",
            stderr_tail=tail,
            remedy="try again; if it stops at the same place once more, the file is damaged there",
        )
    if code < 0:
        raise ToolKilled(
            f"ffmpeg was ended by {signal.Signals(-code).name}",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="look for an out-of-memory message in the system log; the job can simply be tried again",
        )
    if code != 0:
        raise ToolFailed("ffmpeg failed", file=concerns, tool="ffmpeg", tool_exit_code=code, stderr_tail=tail)


def _drain(stream: IO[bytes], lines: deque[str]) -> None:
    for raw in stream:
        line = raw.decode("utf-8", "replace").rstrip()
        lines.append(line)
        LOG.info("  %s", line)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started; it leads its own process group."""
    if process.poll() is None:
        # It may end between the question and the signal.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _die_with_parent() -> None:
    """Let the kernel kill ffmpeg when the job that started it is killed, however that happened (prctl(2))."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
