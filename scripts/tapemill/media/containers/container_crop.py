"""Crop that a container asks players for: clean aperture of QuickTime, PixelCrop of Matroska.

ffmpeg applies it from version 7.1 on, PyAV does not. Jobs therefore decode whole frames (`SourceFileInfo.decoding`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tapemill.media import ffmpeg
from tapemill.media.capture_info import Crop
from tapemill.media.ffmpeg.limits import timeout_s
from tapemill.media.stream_info import VideoStreamInfo

# By libavformat's names; no other demuxer reads such a crop.
CONTAINERS: Final = frozenset({"matroska", "mov"})
STATED: Final = re.compile(r"^ +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)$", re.MULTILINE)


def read_container_crop(path: Path, container: str, video: VideoStreamInfo) -> Crop | None:
    """Return the part of the decoded frame that the container has players show; None if that is all of it.

    `container` are libavformat's names of its format. Asked is the ffmpeg that will cut the scenes: PyAV does not
    return it. Raises like `ffmpeg.run`.
    """
    if CONTAINERS.isdisjoint(container.split(",")):
        return None
    nothing = ["-map", f"0:{video.stream_index}", "-c", "copy", "-t", "0", "-f", "null", "-"]
    arguments = [*ffmpeg.input_args(path), *nothing]
    report = ffmpeg.run(arguments, concerns=path, timeout_s=timeout_s(reads=[path]), verbosity="info")
    # The output has this stream only.
    stated = STATED.search(report.partition("Output #0")[2])
    if stated is None:
        return None
    left, right, top, bottom = (int(number) for number in stated.groups())
    return Crop(left, top, max(video.width - left - right, 0), max(video.height - top - bottom, 0))
