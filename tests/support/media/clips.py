"""Clips, facts and settings for the tests of the stage enhance."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.enhance import EnhanceSettings
from tapemill.media.capture_info import VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.packets import frame_count
from tapemill.media.probe import probe

UNTAGGED = Colour(primaries="unknown", transfer="unknown", matrix="unknown", range="unknown")
PAL = VideoInfo(
    width=720,
    height=576,
    pixel_format="yuv422p",
    bit_depth=8,
    sample_aspect_ratio=Fraction(16, 15),
    rate=Fraction(25),
    field_order="tff",
    colour=UNTAGGED,
)
# Quick to encode; nothing is filtered unless a test asks for it.
PLAIN = EnhanceSettings(
    preset="none",
    chain=None,
    frame_model="demo-compact",
    vrt_model="vrt-denoise",
    overrides="",
    network_precision="auto",
    network_tile_samples=None,
    network_compile=False,
    deinterlace="bob",
    field_order_by_scene=True,
    crop_top_lines=None,
    crop_bottom_lines=None,
    crop_left_samples=None,
    crop_right_samples=None,
    denoise_luma_spatial=None,
    denoise_luma_temporal=None,
    denoise_chroma_spatial=None,
    denoise_chroma_temporal=None,
    chroma_shift_samples=None,
    chroma_shift_lines=None,
    chroma_bleed=None,
    chroma_bleed_samples=None,
    deband_levels=None,
    sharpen=None,
    grain_levels=None,
    height_lines=None,
    encoder="libx264",
    crf=None,
    encoder_effort="fast",
    encoder_threads=1,
    keyframe_interval_s=5.0,
    pixel_format="auto",
)
LOSSLESS = replace(PLAIN, encoder="ffv1")
CUT = ("-c:v", "ffv1", "-g", "1")


def clip_from(path: Path, graph: str, *, frames: int, tags: tuple[str, ...] = ()) -> Path:
    """A cut scene of so many frames, drawn by a filter graph."""
    arguments = ["-f", "lavfi", "-i", graph, "-frames:v", str(frames), *tags, *CUT, *ffmpeg.BITEXACT]
    ffmpeg.run([*arguments, *ffmpeg.output_args(path, "matroska")], concerns=path, timeout_s=60)
    return path


def clip_of(path: Path, pictures: np.ndarray, pixel_format: str, size: tuple[int, int], *, rate: str = "25") -> Path:
    """A cut scene of given samples: one row of bytes (in `pixel_format`) for each frame."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(pictures.tobytes())
    layout = ["-f", "rawvideo", "-pixel_format", pixel_format, "-video_size", f"{size[0]}x{size[1]}"]
    arguments = [
        *ffmpeg.input_args(raw, options=(*layout, "-framerate", rate)),
        *CUT,
        *ffmpeg.output_args(path, "matroska"),
    ]
    ffmpeg.run(arguments, concerns=path, timeout_s=60)
    return path


def facts_of(clip: Path, **known: object) -> VideoInfo:
    """The facts that the capture stage would state, with 25 progressive frames a second unless told otherwise."""
    found = probe(clip).picture
    facts = VideoInfo(
        width=found.width,
        height=found.height,
        pixel_format=found.pixel_format,
        bit_depth=found.bit_depth,
        sample_aspect_ratio=found.sample_aspect_ratio or Fraction(1),
        rate=Fraction(25),
        field_order="progressive",
        colour=found.colour,
    )
    return replace(facts, **known)  # type: ignore[arg-type]


def samples(clip: Path, pixel_format: str, *, filters: str = "null") -> np.ndarray:
    """All frames of a clip as bytes, shape = (frames, bytes)."""
    raw = clip.with_suffix(f".{pixel_format}")
    output = ["-fps_mode", "passthrough", "-pix_fmt", pixel_format, *ffmpeg.output_args(raw, "rawvideo")]
    ffmpeg.run([*ffmpeg.input_args(clip), "-vf", filters, *output], concerns=clip, timeout_s=60)
    return np.frombuffer(raw.read_bytes(), np.uint8).reshape(frame_count(clip), -1)


def field_scene(path: Path, order: str, frames: int, *, size: tuple[int, int] = (160, 96)) -> Path:
    """Write a scene in which each moment is one grey level, 5 apart; a frame has two unless it is progressive."""
    (width, height), pictures = size, []
    for frame in range(frames):
        first, second = (20 + 5 * (2 * frame + moment * (order != "progressive")) for moment in (0, 1))
        luma = np.full((height, width), first, np.uint8)
        luma[(1 if order == "tff" else 0) :: 2] = second
        pictures.append(np.concatenate([luma.ravel(), np.full(width * height, 128, np.uint8)]))
    return clip_of(path, np.stack(pictures), "yuv422p", size)
