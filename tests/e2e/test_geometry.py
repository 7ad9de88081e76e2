"""A circle stays round, and nothing of the picture is lost, whatever raster it was captured in."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tapemill.capture.probe import probe_capture
from tapemill.config.aspect import SheetAspect
from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import EnhanceSettings, enhance_scene, plan_output_format
from tapemill.media import ffmpeg
from tapemill.media.capture_info import Capture
from tapemill.scenes import cut_scene
from tests.support.capture_info import capture_settings
from tests.support.media.captures import MUXERS, copied
from tests.support.media.clean_aperture import add_clean_aperture
from tests.support.media.clips import PLAIN
from tests.support.project import FIELD

PICTURE = FIELD / "picture"
FRAMES = 4
RADIUS = 150
CIRCLE, GROUND, VBI = 220, 60, 130
FFV1 = ("-c:v", "ffv1", "-g", "1", "-pix_fmt", "yuv422p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "1", "-pix_fmt", "yuv422p")
# Clocks of square samples and of four times the colour subcarrier.
PAL_4FSC = Fraction(14_750_000) / Fraction(17_734_475)
NTSC_4FSC = Fraction(135_000_000, 11) / Fraction(315_000_000, 22)


@dataclass(frozen=True)
class Drawn:
    """A capture of one circle, and how the tape must look."""

    size: tuple[int, int]
    pixel_aspect: Fraction
    """With which the circle is round."""
    expected: tuple[int, int]
    """Size of the tape without filters."""
    codec: tuple[str, ...] = FFV1
    stated: str = "0"
    """Aspect of the file, as setsar has it."""
    vbi_lines: int = 0
    aperture: tuple[int, int] | None = None
    suffix: str = ".mkv"
    sheet: str = "auto"


CAPTURES = {
    "clean aperture": Drawn(
        (720, 480), Fraction(10, 11), (654, 480), stated="10/11", aperture=(704, 480), suffix=".mov"
    ),
    "PixelCrop": Drawn((720, 576), Fraction(12, 11), (786, 576), stated="12/11", aperture=(702, 560)),
    "HDV": Drawn((1440, 1080), Fraction(4, 3), (1920, 1080), MPEG2, "4/3", aperture=(1416, 1062), suffix=".mov"),
    "codec crops too": Drawn((718, 574), Fraction(1), (718, 574), ("-c:v", "libx264"), "1", aperture=(700, 560)),
    "padded to 1088": Drawn((1440, 1088), Fraction(4, 3), (1920, 1080), MPEG2, "4/3", aperture=(1440, 1080)),
    "4fsc PAL": Drawn((928, 576), PAL_4FSC, (772, 576)),
    "square by default": Drawn((948, 576), PAL_4FSC, (790, 576), stated="1"),
    "4fsc NTSC": Drawn((760, 488), NTSC_4FSC, (652, 488)),
    "VBI of PAL": Drawn((720, 608), Fraction(16, 15), (768, 576), vbi_lines=32),
    "VBI of NTSC": Drawn((720, 512), Fraction(9, 10), (648, 486), vbi_lines=26),
    "square by default of a muxer": Drawn((720, 576), Fraction(16, 15), (768, 576), stated="1"),
    "square by the sheet": Drawn((720, 576), Fraction(1), (720, 576), sheet="1:1"),
    "IMX": Drawn((720, 608), Fraction(16, 15), (768, 576), MPEG2, "152/135", vbi_lines=32, suffix=".mxf"),
    "IMX of QuickTime": Drawn((720, 608), Fraction(16, 15), (768, 576), MPEG2, "152/135", 32, (720, 576), ".mov"),
    "pixel aspect of the sheet": Drawn((720, 576), Fraction(12, 11), (786, 576), stated="16/15", sheet="12:11"),
    "display aspect of the sheet": Drawn((720, 576), Fraction(56, 45), (896, 576), sheet="14:9"),
    "sheet and VBI": Drawn((720, 608), Fraction(64, 45), (1024, 576), vbi_lines=32, sheet="16:9"),
}


def draw(path: Path, drawn: Drawn) -> Path:
    """Write a few equal frames of a circle in the middle of the picture; lines of VBI are lighter than its ground."""
    (width, height), ratio = drawn.size, float(drawn.pixel_aspect)
    middle = drawn.vbi_lines + (height - drawn.vbi_lines) / 2
    inside = f"lt(hypot((X+0.5-{width / 2})*{ratio:.6f},Y+0.5-{middle}),{RADIUS})"
    luma = f"if(lt(Y,{drawn.vbi_lines}),{VBI},if({inside},{CIRCLE},{GROUND}))"
    picture = f"nullsrc=s={width}x{height}:r=25:d=0.04,format=yuv422p,geq=lum='{luma}':cb=128:cr=128"
    chain = f"loop=loop={FRAMES - 1}:size=1,setsar={drawn.stated}"
    first = path.with_suffix(".mov") if drawn.aperture else path
    output = [*drawn.codec, *ffmpeg.output_args(first, MUXERS[first.suffix[1:]])]
    ffmpeg.run(["-f", "lavfi", "-i", picture, "-vf", chain, *output], concerns=path, timeout_s=60)
    if drawn.aperture:
        down = 16 if drawn.vbi_lines else (drawn.aperture[1] - height) // 2 if height == 1088 else 0
        add_clean_aperture(first, width=drawn.aperture[0], height=drawn.aperture[1], down=down)
        path = first if first == path else copied(first, path)
    return path


def restore(source: Path, folder: Path, *, preset: str, sheet: str = "auto") -> tuple[Capture, Path]:
    """Make one clip of a capture, without loss where the preset has none."""
    aspect = SheetAspect.parse(sheet)
    probe_capture(
        source=source,
        target=folder / "capture.json",
        field_order="auto",
        display_aspect=aspect.display,
        pixel_aspect=aspect.pixel,
        settings=capture_settings(),
    )
    capture = Capture.read(folder / "capture.json")
    picture, frames = capture.picture, min(capture.frames, 12)
    cut, clip = folder / "cut.mkv", folder / "clip.mkv"
    span = FrameRange(0, frames)
    cut_scene(
        source=source, take=capture.takes[0], sound_stream=None, span=span, target=cut, picture=picture, threads=1
    )
    settings = EnhanceSettings(**{**vars(PLAIN), "preset": preset, "encoder": "ffv1"})
    enhance_scene(
        clip=cut,
        target=clip,
        record=folder / "clip.json",
        picture=picture,
        frames=frames,
        settings=settings,
        device=CPU,
        output=plan_output_format(picture, settings),
    )
    return capture, clip


def luma(path: Path, options: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Decode the luma of all frames by ffmpeg."""
    raw = path.with_suffix(".luma.mkv")
    output = ["-pix_fmt", "gray", "-c:v", "ffv1", *ffmpeg.output_args(raw, "matroska")]
    ffmpeg.run([*ffmpeg.input_args(path, options=options), "-an", *output], concerns=path, timeout_s=60)
    with av.open(str(raw)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("name", "preset"),
    [*((name, "none") for name in CAPTURES), *((name, "fast") for name in ("PixelCrop", "VBI of NTSC", "4fsc NTSC"))],
)
def test_a_circle_stays_round(tmp_path, name, preset):
    drawn = CAPTURES[name]
    source = draw(tmp_path / f"capture{drawn.suffix}", drawn)
    _, clip = restore(source, tmp_path, preset=preset, sheet=drawn.sheet)
    frames = luma(clip)
    assert len(frames) == FRAMES
    image = frames[1].astype(float)
    if preset == "none":
        assert (image.shape[1], image.shape[0]) == drawn.expected
    # Lines of VBI would be lighter.
    assert image[0].max() < (VBI + GROUND) / 2
    rows, columns = np.nonzero(image > (CIRCLE + GROUND) / 2)
    assert rows.std() == pytest.approx(RADIUS / 2, rel=0.01)
    assert columns.std() == pytest.approx(rows.std(), rel=0.005)
    assert columns.mean() == pytest.approx((image.shape[1] - 1) / 2, abs=1)


@pytest.mark.skipif(not PICTURE.is_dir(), reason="the captures of the field are not there")
@pytest.mark.parametrize("preset", ["none", "fast"])
@pytest.mark.parametrize("name", ["dvntsc_clean_aperture.mov", "pixelcrop.mkv"])
def test_a_cropping_container_gives_the_whole_raster_with_every_preset(tmp_path, name, preset):
    source = PICTURE / name
    capture, clip = restore(source, tmp_path, preset=preset)
    (remark,) = capture.notes["remarks"]
    assert "left 8, right 8, top 0, bottom 0" in remark
    with av.open(str(source)) as container:
        decoded = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    cut = luma(tmp_path / "cut.mkv")
    assert all((frame == other).all() for frame, other in zip(cut, decoded, strict=False))
    bobbed = capture.picture.field_order != "progressive"
    frames = luma(clip)
    assert len(frames) == 12 * (2 if bobbed else 1)
    lines = 470 if preset == "fast" else 480
    assert frames[0].shape == (lines, round(720 * 10 / 11 / 2) * 2)


@pytest.mark.skipif(not PICTURE.is_dir(), reason="the captures of the field are not there")
def test_a_decoded_tape_without_an_aspect_is_four_by_three(tmp_path):
    _, clip = restore(PICTURE / "raster_928x576_unsaid.mkv", tmp_path, preset="none")
    height, width = luma(clip)[0].shape
    # 52 of the 52.3 µs of a line are picture.
    assert width / height * 922 / 928 == pytest.approx(4 / 3, rel=0.003)
