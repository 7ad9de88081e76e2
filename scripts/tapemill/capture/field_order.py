"""Field order detected in the video itself, not from flags: ffmpeg's idet filter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import ToolFailed
from tapemill.media import ffmpeg
from tapemill.media.capture_info import FieldOrder
from tapemill.media.ffmpeg.exit_status import TAIL_LINES

# Multi-frame detection uses neighbouring frames, which is far more stable than single-frame detection.
REPORT = re.compile(r"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+) Progressive:\s*(\d+) Undetermined:\s*(\d+)")
# Still frames of an interlaced tape look progressive; a progressive tape shows almost no combing. A fifth of combed
# frames is far above the error rate, and far below a lively interlaced tape.
INTERLACED_SHARE = 0.2


@dataclass(frozen=True)
class IdetCounts:
    """Numbers of frames by idet's classification."""

    tff: int = 0
    bff: int = 0
    progressive: int = 0
    undetermined: int = 0

    def __add__(self, other: IdetCounts) -> IdetCounts:
        return IdetCounts(
            self.tff + other.tff,
            self.bff + other.bff,
            self.progressive + other.progressive,
            self.undetermined + other.undetermined,
        )

    @property
    def frames(self) -> int:
        """All frames counted."""
        return self.tff + self.bff + self.progressive + self.undetermined

    def decide(self) -> tuple[FieldOrder, float]:
        """Return the field order and its confidence, 0 to 1.

        No frames, or no motion, count as progressive with confidence 0.
        """
        combed = self.tff + self.bff
        if combed > INTERLACED_SHARE * self.frames:
            return ("tff", self.tff / combed) if self.tff >= self.bff else ("bff", self.bff / combed)
        return "progressive", self.progressive / self.frames if self.frames else 0.0


def run_idet(
    path: Path,
    stream_index: int,
    starts_s: Sequence[Fraction],
    frames_per_spot: int,
    *,
    timeout_s: float,
    decoding: Sequence[str] = ffmpeg.PICTURE_LIMIT,
) -> IdetCounts:
    """Run idet on `frames_per_spot` frames from each position `starts_s` of a file. `timeout_s` is for each position.

    `decoding` are options of ffmpeg's input. Raises like `ffmpeg.run`, and ToolFailed if ffmpeg prints no idet report.
    """
    total = IdetCounts()
    for start_s in starts_s:
        report = ffmpeg.run(
            [
                *ffmpeg.input_args(path, options=[*decoding, "-ss", f"{float(start_s):.3f}"]),
                *("-map", f"0:{stream_index}", "-frames:v", str(frames_per_spot), "-vf", "idet", "-f", "null", "-"),
            ],
            concerns=path,
            timeout_s=timeout_s,
            verbosity="info",
        )
        # The filter reports once, all zero, before the first frame, so it reports even where none can be decoded.
        found = REPORT.findall(report)
        if not found:
            raise ToolFailed(
                "ffmpeg did not report the fields that it was to inspect",
                file=path,
                tool="ffmpeg idet",
                stderr_tail=report.splitlines()[-TAIL_LINES:],
                remedy="check the setting `ffmpeg`: that program does not do what ffmpeg does",
            )
        total += IdetCounts(*(int(count) for count in found[-1]))
    return total
