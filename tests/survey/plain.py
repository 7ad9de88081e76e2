"""Pictures and audio of a file as plain ffmpeg decodes them: the independent side of the survey."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tapemill.media import ffmpeg

WIDTH, HEIGHT = 32, 24
AUDIO_HZ = 8000
# Of the container first, in parentheses of the codec: what players show.
ASPECT = re.compile(r"SAR (\d+):(\d+) DAR (\d+):(\d+)")
SIZE = re.compile(r"Video: .*?, (\d{2,5})x(\d{2,5})")


@dataclass(frozen=True)
class Plain:
    """A file decoded."""

    pictures: np.ndarray
    """Means of blocks of all frames, shape = (frames, HEIGHT, WIDTH, 3), float64, RGB."""
    times_s: np.ndarray
    """Time of each, shape = (frames,)."""
    aspect: Fraction
    """Of the display; of square pixels where the file states nothing."""
    audio: np.ndarray
    """First track on the clock of the pictures, from the first of them on, shape = (samples,), at AUDIO_HZ."""

    def between(self, first: int, stop: int) -> Plain:
        """Return the part of some frames, its times and its audio from the first of them on."""
        times_s = self.times_s[first:stop] - self.times_s[first] if first else self.times_s[:stop]
        # Audio is on the clock from the first frame of all on.
        edges_s = np.append(self.times_s, np.inf)[[first, stop]] - self.times_s[0]
        samples = np.round(np.minimum(edges_s * AUDIO_HZ, len(self.audio))).astype(int)
        audio = self.audio[samples[0] : samples[1]]
        return replace(self, pictures=self.pictures[first:stop], times_s=times_s, audio=audio)


def decode(path: Path) -> Plain:
    """Decode a file with ffmpeg's own choice of streams, whole frames, each once."""
    whole = ["-apply_cropping", "codec"] if path.suffix.lower() in (".mov", ".mp4", ".mkv") else []
    raw = _run([*whole, "-i", f"file:{path}", "-an", "-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,format=rgb24",
                "-fps_mode", "passthrough", "-f", "rawvideo", "-"]).stdout  # fmt: skip
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3).astype(np.float64)
    report = _run(["-i", f"file:{path}"], check=False).stderr.decode(errors="replace")
    video = next(line for line in report.splitlines() if "Video:" in line)
    stated, size = ASPECT.findall(video), SIZE.search(video)
    assert size is not None
    aspect = Fraction(int(stated[-1][2]), int(stated[-1][3])) if stated else Fraction(int(size[1]), int(size[2]))
    with av.open(str(path), metadata_errors="replace") as container:
        found = [(frame.time or 0.0, frame.rotation) for frame in container.decode(container.streams.best("video"))]
        has_audio = bool(container.streams.audio)
    times_s = np.array([time for time, _ in found])
    assert len(times_s) == len(pictures), "ffmpeg and PyAV decode other numbers of frames"
    return Plain(
        pictures=pictures,
        times_s=times_s,
        aspect=1 / aspect if found[0][1] % 180 else aspect,
        audio=_audio(path, times_s[0]) if has_audio else np.zeros(0),
    )


def _audio(path: Path, first_s: float) -> np.ndarray:
    # Silence before and in gaps, by the time stamps; without the limit, gaps below a tenth of a second are closed.
    chain = f"aresample={AUDIO_HZ}:async=1:min_hard_comp=0.01:first_pts=0"
    raw = _run(["-copyts", "-i", f"file:{path}", "-vn", "-ac", "1", "-af", chain, "-f", "f32le", "-"]).stdout
    return np.frombuffer(raw, "<f4")[round(first_s * AUDIO_HZ) :]


def _run(arguments: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([ffmpeg.binary(), "-hide_banner", "-nostdin", *arguments], capture_output=True, check=check)
