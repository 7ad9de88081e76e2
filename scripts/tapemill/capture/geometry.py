"""Geometry of a capture: the part of a frame that is cut out, the shape of its samples, and remarks on both.

Frames are seen as they are decoded: what a container crops is not cropped, because it may be picture, and the settings
enhance: crop_… are there. Only lines that never hold picture are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av import VideoFormat

from tapemill.config.aspect import SheetAspect
from tapemill.media.capture_info import Crop
from tapemill.media.rasters import FOUR_BY_THREE, Raster, find_raster
from tapemill.media.stream_info import VideoStreamInfo

# Codecs of 1080 lines store 1088, a multiple of 16.
PADDED_LINES, LINES = 1088, 1080


def cut_out(video: VideoStreamInfo, container_crop: Crop | None) -> Crop | None:
    """Return the part of the upright frame without lines of VBI and without padding; None if that is all of it."""
    crop = _below_vbi(video)
    if container_crop and _is_padding(video, container_crop):
        crop = Crop(0, 0, video.width, LINES)
    return _turned(crop, video) if crop else None


def sample_aspect_ratio(video: VideoStreamInfo, sheet: SheetAspect) -> Fraction:
    """Return the sample aspect ratio of the upright frame: of the sheet, else the file, else the raster, else 1.

    The sheet's display aspect is that of the active picture.
    """
    width, height = video.upright_size
    raster = _raster(video)
    if sheet.pixel:
        return sheet.pixel
    if sheet.display:
        return raster.pixel_aspect(sheet.display) if raster else sheet.display * height / width
    stated = video.sample_aspect_ratio
    if stated and video.is_turned:
        return 1 / stated
    if raster:
        return raster.corrected(stated) if stated else raster.pixel_aspect(FOUR_BY_THREE)
    return stated or Fraction(1)


def geometry_remarks(video: VideoStreamInfo, container_crop: Crop | None) -> Iterator[str]:
    """Describe what differs from what a player shows."""
    vbi = _below_vbi(video)
    if container_crop and container_crop != vbi and not _is_padding(video, container_crop):
        right = video.width - container_crop.left - container_crop.width
        bottom = video.height - container_crop.top - container_crop.height
        yield (
            f"the container crops its frames of {video.width} × {video.height}: left {container_crop.left}, right"
            f" {right}, top {container_crop.top}, bottom {bottom}; this is not applied (the settings enhance:"
            " crop_… crop)"
        )
    if vbi:
        yield f"its first {vbi.top} lines are of the vertical blanking interval, and are cropped"
    raster = _raster(video)
    if raster and video.sample_aspect_ratio == 1 and not raster.may_be_square:
        yield (
            f"the file states square pixels, which no tape has in frames of {video.width} × {video.height}: taken for"
            " 4:3, unless the column aspect of the sheet has another (1:1 keeps them square)"
        )


def _raster(video: VideoStreamInfo) -> Raster | None:
    """Return the known raster of a tape. Clips that are turned are no tapes, and have square samples."""
    return None if video.is_turned else find_raster(video.width, video.height)


def _below_vbi(video: VideoStreamInfo) -> Crop | None:
    """Return the decoded frame without lines of VBI; None if it has none."""
    raster = _raster(video)
    if raster is None or not raster.vbi_lines:
        return None
    # Where two fields share lines of chroma, only four lines at a time belong together.
    is_shared = VideoFormat(video.pixel_format).chroma_height(LINES) < LINES
    top = raster.vbi_lines + (-raster.vbi_lines % 4 if is_shared else 0)
    return Crop(0, top, raster.width, raster.height - top)


def _is_padding(video: VideoStreamInfo, crop: Crop) -> bool:
    """Whether a container crops only the lines that codecs add to 1080."""
    return video.height == PADDED_LINES and crop == Crop(0, 0, video.width, LINES)


def _turned(crop: Crop, video: VideoStreamInfo) -> Crop:
    """Rotate a crop of a decoded frame clockwise, as players rotate the frame."""
    right, bottom = video.width - crop.left - crop.width, video.height - crop.top - crop.height
    return {
        0: crop,
        90: Crop(bottom, crop.left, crop.height, crop.width),
        180: Crop(right, bottom, crop.width, crop.height),
        270: Crop(crop.top, right, crop.height, crop.width),
    }.get(video.rotation_deg, crop)
