"""Frames of a capture, scaled down for scene detection, on its constant-rate grid.

One ffmpeg process decodes and scales; memory use is constant.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tapemill.core.errors import GateError
from tapemill.media import ffmpeg
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.clock.cfr import CfrGrid
from tapemill.media.ffmpeg.limits import timeout_s
from tapemill.media.field_match import STRIP_WIDTH, strip_filters
from tapemill.media.output_checks import REMEDY

from .encode import cut_out_filter

# At this width tape noise disappears, cuts do not.
WIDTH_PX = STRIP_WIDTH


def scaled_frames(
    source: Path, take: SourceFileInfo, picture: VideoInfo, *, with_strips: bool
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield scaled-down frames of the capture's grid, shape = (height, width, 3), uint8, BGR, and their strips.

    Strips are those of `field_match`, None without `with_strips`. Raises GateError if ffmpeg returns anything else.
    """
    width = min(WIDTH_PX, picture.width)
    height = max(1, round(width * picture.height / picture.width))
    chain = [*cfr_filters(take), f"trim=end_pts={take.frames}", *cut_out_filter(picture)]
    if with_strips:
        strip = ",".join([*strip_filters(picture.height), "format=bgr24"])
        chain.append(f"split[whole][all];[all]{strip}[strip];[whole]null")
    if picture.field_order != "progressive":
        # One field only: no combing, and a cut between the two fields of a frame is a cut between frames.
        chain.append("field=type=" + ("top" if picture.field_order == "tff" else "bottom"))
    chain += [f"scale={width}:{height}:flags=area+accurate_rnd+bitexact", "format=bgr24"]
    if with_strips:
        # One stream holds both: each strip is below its frame.
        chain.append("null[small];[small][strip]vstack")
    opened = ffmpeg.input_args(source, options=take.decoding)
    arguments = ["-copyts", *opened, "-map", f"0:{take.stream_index}", "-filter:v", ",".join(chain)]
    arguments += ["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    limit_s = timeout_s(reads=[source], samples=picture.width * picture.height, decoded=take.frames)
    with ffmpeg.pipe_out(arguments, concerns=source, timeout_s=limit_s) as stream:
        lines = height + (picture.height if with_strips else 0)
        size = width * lines * 3
        for number in itertools.count():
            data = stream.read(size)
            if not data:
                break
            if len(data) < size:
                raise GateError(
                    f"after {number} of {take.frames} pictures came {len(data)} bytes that are none",
                    file=source,
                    tool=ffmpeg.binary(),
                    remedy=REMEDY,
                )
            image = np.frombuffer(data, np.uint8).reshape(lines, width, 3)
            yield image[:height], image[height:, :, 0] if with_strips else None


def cfr_filters(grid: CfrGrid) -> list[str]:
    """Return filters that convert a capture, decoded from its start with its own time stamps, to the grid.

    `fps` rounds like `CfrGrid.indices` (nearest, halves up) and repeats the first frame if earlier ones are damaged.
    """
    return [f"setpts={grid.from_frame_0()}", f"fps=fps={grid.rate.numerator}/{grid.rate.denominator}:start_time=0"]
