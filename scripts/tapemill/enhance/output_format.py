"""Output format of all clips of a tape: a pure function of the capture's video and the settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

from av import VideoFormat

from tapemill.core.errors import ConfigError
from tapemill.core.timing import round_half_up
from tapemill.media.capture_info import Crop, VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.film.cadence import FRAMES_PER_FRAME, FilmRate
from tapemill.storage.typed_json import JsonRecord, optional

from .chain import Chain
from .settings import EnhanceSettings

# Every encoder accepts this size; smaller frames get a black border. SVT-AV1 needs 64 × 64.
SMALLEST_SIDE = 64
# Below this there is no texture to improve, and some filters reject such frames.
SMALLEST_RESTORED_SIDE = 16
# bwdif reads two lines above and below.
SMALLEST_DEINTERLACED_SIDE = 4
# Players take untagged video for BT.601 up to this height and for BT.709 above it; tagged video should agree.
TALLEST_SD_LINES = 576
# Of the output. Limit of encoders and players (8K).
LARGEST_SIDE = 8192
NTSC_LINES = frozenset({240, 480, 486, 488})

BT601_PAL = Colour(primaries="bt470bg", transfer="smpte170m", matrix="bt470bg", range="tv")
BT601_NTSC = Colour(primaries="smpte170m", transfer="smpte170m", matrix="smpte170m", range="tv")
BT709 = Colour(primaries="bt709", transfer="bt709", matrix="bt709", range="tv")
BT601_MATRICES = frozenset({"bt470bg", "smpte170m"})
# Transfers that occur with a BT.601 matrix; others (HDR) are not converted.
SDR_TRANSFERS = frozenset({"bt709", "smpte170m", "smpte240m", "bt470m", "bt470bg", "iec61966-2-1"})


@dataclass(frozen=True)
class Layout:
    """Planar YUV pixel format, by depth and chroma subsampling."""

    depth: int
    """Bits of a sample: 8 or 10."""
    log2_chroma_width: int
    log2_chroma_height: int

    @property
    def name(self) -> str:
        """Name in ffmpeg."""
        sampling = {(0, 0): "444", (1, 0): "422", (1, 1): "420"}[self.log2_chroma_width, self.log2_chroma_height]
        return f"yuv{sampling}p" + ("" if self.depth == 8 else f"{self.depth}le")


@dataclass(frozen=True)
class OutputFormat(JsonRecord):
    """Format of all enhanced clips of a tape. Pixels are square and frames progressive."""

    width: int
    height: int
    restored_width: int
    """Without the border that very small frames get."""
    restored_height: int
    rate: Fraction
    frames_per_frame: int
    """Frames of a clip for each frame of the capture: 2 when both fields become frames, else 1. Film has its own
    count."""
    pixel_format: str
    colour: Colour
    film: FilmRate | None = optional()
    """Film frames a second, if the tape is film as a whole."""

    def frames(self, capture_frames: int) -> int:
        """Return the number of frames for a range of frames of the capture; of film to the nearest frame or two.

        The exact count of a scene of film is in its cadence.
        """
        if self.film:
            return math.ceil(capture_frames * FRAMES_PER_FRAME[self.film])
        return capture_frames * self.frames_per_frame


def plan_output_format(picture: VideoInfo, settings: EnhanceSettings, film: FilmRate | None = None) -> OutputFormat:
    """Plan the output format of a capture, which may be film as a whole.

    Raises ConfigError if the crop leaves nothing of the frame.
    """
    width, height = _restored_size(picture, settings)
    bob = settings.deinterlace == "bob" and picture.field_order != "progressive" and film is None
    frames_per_frame = 2 if bob else 1
    return OutputFormat(
        width=max(width, SMALLEST_SIDE),
        height=max(height, SMALLEST_SIDE),
        restored_width=width,
        restored_height=height,
        rate=picture.rate * (FRAMES_PER_FRAME[film] if film else frames_per_frame),
        frames_per_frame=frames_per_frame,
        pixel_format=_pixel_format(settings, working_layout(picture.pixel_format)),
        colour=output_colour(picture, height),
        film=film,
    )


def cropped(picture: VideoInfo, settings: EnhanceSettings) -> Crop:
    """The crop, aligned to the chroma grid: rather one line more is cut than half a chroma line left."""
    filters = settings.filters(lines=picture.height)
    layout = working_layout(picture.pixel_format)
    # Encoders of 4:2:0 need even sizes. A side that is not resampled otherwise loses a line instead of being resampled.
    columns = 2 if picture.sample_aspect_ratio == 1 and settings.height_lines is None else 1
    lines = 2 if settings.height_lines is None else 1
    left, width = _aligned_cut(
        picture.width,
        (filters.crop_left_samples, filters.crop_right_samples),
        offset_grid=1 << layout.log2_chroma_width,
        size_grid=max(columns, 1 << layout.log2_chroma_width),
    )
    top, height = _aligned_cut(
        picture.height,
        (filters.crop_top_lines, filters.crop_bottom_lines),
        offset_grid=1 << layout.log2_chroma_height,
        size_grid=max(lines, 1 << layout.log2_chroma_height),
    )
    if width < 1 or height < 1:
        raise ConfigError(
            f"the crop leaves nothing of a frame of {picture.width} × {picture.height}",
            remedy="lower the four settings enhance: crop_…",
        )
    return Crop(left=left, top=top, width=width, height=height)


@cache
def working_layout(pixel_format: str) -> Layout:
    """Layout of the filters: the capture's own sampling where all filters accept it.

    More than 8 bits become 10. RGB becomes 4:4:4, 4:1:1 becomes 4:2:2 (across lines only, so that fields stay apart),
    gray becomes 4:2:0, alpha is dropped.
    """
    format = VideoFormat(pixel_format, 16, 16)
    depth = 8 if format.components[0].bits <= 8 or format.has_palette else 10
    if format.is_rgb or format.has_palette:
        return Layout(depth, 0, 0)
    if len(format.components) < len("yuv"):
        return Layout(depth, 1, 1)
    wide = format.chroma_width(16) < 16
    tall = format.chroma_height(16) < 16
    return Layout(depth, int(wide), int(wide and tall))


def frame_layout(picture: VideoInfo, settings: EnhanceSettings) -> Layout:
    """Layout of frames after deinterlacing: the working layout, with no more chroma than the finished clip.

    Networks get all chroma of the capture.
    """
    working = working_layout(picture.pixel_format)
    if Chain.of(settings).networks:
        return working
    finished = working_layout(plan_output_format(picture, settings).pixel_format)
    return Layout(
        depth=working.depth,
        log2_chroma_width=max(working.log2_chroma_width, finished.log2_chroma_width),
        log2_chroma_height=max(working.log2_chroma_height, finished.log2_chroma_height),
    )


def is_rgb(pixel_format: str) -> bool:
    """Whether the format has no YUV matrix of its own."""
    format = VideoFormat(pixel_format, 16, 16)
    return format.is_rgb or format.has_palette


def source_colour(picture: VideoInfo) -> Colour:
    """The capture's colour with nothing left unknown, as YUV, after the conversion of RGB.

    Unknown values are those of BT.601 in the variant of the line count, or of BT.709 from 720 lines on. A known matrix
    takes precedence over the size.
    """
    tags = picture.colour
    if tags.matrix == "bt709" or (tags.matrix in {"unknown", "gbr"} and picture.height > TALLEST_SD_LINES):
        family = BT709
    elif tags.matrix == "smpte170m" or (tags.matrix != "bt470bg" and picture.height in NTSC_LINES):
        family = BT601_NTSC
    else:
        family = BT601_PAL
    rgb = is_rgb(picture.pixel_format)
    return Colour(
        primaries=family.primaries if tags.primaries == "unknown" else tags.primaries,
        transfer=family.transfer if tags.transfer == "unknown" else tags.transfer,
        matrix=family.matrix if tags.matrix in {"unknown", "gbr"} else tags.matrix,
        range="tv" if rgb or tags.range == "unknown" else tags.range,
    )


def output_colour(picture: VideoInfo, height: int) -> Colour:
    """The capture's colour at video range; BT.601 becomes BT.709 when the output is taller than 576 lines."""
    source = source_colour(picture)
    if height > TALLEST_SD_LINES and source.matrix in BT601_MATRICES and source.transfer in SDR_TRANSFERS:
        return BT709
    return replace(source, range="tv")


def _aligned_cut(size: int, cut: tuple[int, int], *, offset_grid: int, size_grid: int) -> tuple[int, int]:
    """Offset and size of what remains between two cuts, aligned to their grids; a size below its grid stays."""
    offset = -(-cut[0] // offset_grid) * offset_grid
    rest = size - offset - cut[1]
    return offset, rest if rest < size_grid else rest // size_grid * size_grid


def _restored_size(picture: VideoInfo, settings: EnhanceSettings) -> tuple[int, int]:
    scale = Chain.of(settings).scale
    lines = settings.height_lines or cropped(picture, settings).height * scale
    width, height = _square_pixels(cropped(picture, settings), picture.sample_aspect_ratio, lines)
    if max(width, height) > LARGEST_SIDE:
        raise ConfigError(
            f"the networks of the chain, which enlarge {scale} times, would make frames of {width} × {height}",
            remedy="remove networks from enhance: chain or choose smaller scales, or set enhance: height_lines",
        )
    return width, height


def _square_pixels(crop: Crop, aspect: Fraction, lines: int) -> tuple[int, int]:
    """Width and height, both even, for a number of lines and square pixels."""
    height = max(lines, 2)
    width = crop.width * aspect * Fraction(height, crop.height)
    return max(round_half_up(width / 2) * 2, 2), height


def _pixel_format(settings: EnhanceSettings, working: Layout) -> str:
    """Pixel format; `auto` is what plays everywhere, except for ffv1, which is lossless."""
    if settings.pixel_format != "auto":
        return settings.pixel_format
    if settings.encoder == "ffv1":
        return working.name
    if settings.encoder in {"libx264", "h264_qsv", "h264_nvenc"}:
        return "yuv420p"  # hardly any player decodes 10-bit H.264 by hardware
    return Layout(working.depth, 1, 1).name
