"""`python -m tools.docs.readme_picture`: the image of the README, from the demo tape as `make demo` restores it.

Left the capture, only deinterlaced and resampled to square pixels; right the same moment of the finished tape. Both at
the tape's own size, and saved as JPEG of the same quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from tapemill.media import ffmpeg
from tapemill.storage import atomic
from tapemill.workflow.tape import DEMO_CAPTURE

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "docs" / "before-after.jpg"
TAPE: Final = Path("results/demo/demo.mkv")
LIMIT_S: Final = 120.0
# Frames before the one that is shown, which the deinterlacer needs.
LEAD: Final = 2
# Of the scale 2 (best) to 31.
JPEG_QUALITY: Final = 3
GAP_SAMPLES: Final = 8


@dataclass(frozen=True)
class View:
    """Frame and area of a tape to show."""

    frame: int
    """Of the capture."""
    rate: Fraction
    """Frames a second of the capture."""
    lines: int
    """Of the capture, without the head-switching lines at the bottom, which the restored tape lacks."""
    width: int
    """Of the restored frame, whose height is `lines`."""
    window: str
    """Area of the restored frame: width, height, x and y, as in ffmpeg's crop."""


# The engine, in front of woods and sky.
DEMO: Final = View(frame=1380, rate=Fraction(25), lines=566, width=768, window="560:424:200:138")


def before_after(capture: Path, tape: Path, target: Path, view: View) -> None:
    """Write a JPEG of the same moment before and after. The tape shows each field of the capture as a frame.

    Raises ToolFailed, or FileNotFoundError without an image, if one of the two does not have that frame.
    """
    square = f"crop=iw:{view.lines}:0:0,scale={view.width}:{view.lines}:flags=lanczos,setsar=1,format=yuv444p"
    # Time stamps are reset; otherwise the later of two frames would be paired with the wrong frame of the other stream.
    chosen = f"select=eq(n\\,{2 * LEAD}),setpts=0"
    graph = [
        f"[0:v]bwdif=mode=send_field,{chosen},{square},crop={view.window}[before]",
        f"[1:v]{chosen},format=yuv444p,crop={view.window},pad=iw+{GAP_SAMPLES}:ih:{GAP_SAMPLES}:0:white[after]",
        "[before][after]hstack,format=yuvj420p",
    ]
    start = ("-ss", f"{float((view.frame - LEAD) / view.rate):.3f}")
    with atomic.staged(target) as partial:
        ffmpeg.run(
            [
                *(*ffmpeg.input_args(capture, options=start), *ffmpeg.input_args(tape, options=start)),
                *("-filter_complex", ";".join(graph), "-frames:v", "1", "-q:v", str(JPEG_QUALITY)),
                *(*ffmpeg.BITEXACT, "-update", "1", *ffmpeg.output_args(partial, "image2")),
            ],
            concerns=tape,
            timeout_s=LIMIT_S,
        )


if __name__ == "__main__":
    before_after(ROOT / DEMO_CAPTURE, ROOT / TAPE, TARGET, DEMO)
