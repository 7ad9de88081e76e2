"""Known colours survive: what a player shows, by the tags of the finished clip, is what the capture meant."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.media.colour import Colour
from tapemill.media.probe import probe
from tests.support.media.clips import PLAIN, clip_of, facts_of

# Not saturated: those colours have no place in BT.709 after a change of primaries.
PATCHES = np.array([(191, 64, 60), (70, 180, 75), (60, 70, 190), (200, 190, 60), (128, 128, 128), (235, 235, 235)])
SIDE = 32
WEIGHTS = {"bt470bg": (0.299, 0.114), "smpte170m": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
# CIE 1931 x, y of red, green, blue and white: ITU-R BT.601-7 and BT.709-6.
D65 = (0.3127, 0.3290)
PRIMARIES = {
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),
}


def to_yuv(rgb, matrix, range_, depth=8):
    """Y'CbCr of 8-bit R'G'B', shape (patches, 3), in levels of `depth` bits (ITU-R BT.601, BT.709)."""
    kr, kb = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    scale = 1 << (depth - 8)
    if range_ == "pc":
        return np.stack([y * 255, cb * 255 + 128, cr * 255 + 128], -1) * scale
    return np.stack([y * 219 + 16, cb * 224 + 128, cr * 224 + 128], -1) * scale


def to_rgb(yuv, matrix, depth=8):
    """The inverse of `to_yuv` for video range."""
    kr, kb = WEIGHTS[matrix]
    y, cb, cr = np.moveaxis(yuv / (1 << (depth - 8)), -1, 0)
    y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    r, b = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
    return np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], -1) * 255


def xyz_matrix(primaries):
    """Linear RGB to CIE XYZ (SMPTE RP 177)."""
    *rgb, white = ((x / y, 1.0, (1 - x - y) / y) for x, y in PRIMARIES[primaries])
    columns = np.array(rgb).T
    return columns * np.linalg.solve(columns, np.array(white))


def converted(rgb, source, target):
    """The same colours in other primaries, through linear light (transfer of BT.601 and BT.709)."""
    code = rgb / 255
    linear = np.where(code < 0.081, code / 4.5, ((code + 0.099) / 1.099) ** (1 / 0.45))
    linear = linear @ (np.linalg.inv(xyz_matrix(target)) @ xyz_matrix(source)).T
    return np.where(linear < 0.018, linear * 4.5, 1.099 * linear.clip(0) ** 0.45 - 0.099) * 255


def scene(path, lines, pixel_format, values, *, depth=8):
    """Patches side by side as planar 4:2:2 or RGB, as tall as the line count that tells the standard."""
    width = SIDE * len(PATCHES)
    kind = np.uint8 if depth == 8 else np.uint16
    order = (1, 2, 0) if pixel_format.startswith("gbr") else (0, 1, 2)
    planes = []
    for plane in order:
        part = 2 if plane and pixel_format.startswith("yuv422") else 1
        row = np.repeat(values[:, plane].round(), SIDE // part).astype(kind)
        planes.append(np.tile(row, (lines, 1)).ravel())
    return clip_of(path, np.concatenate(planes).view(np.uint8)[None], pixel_format, (width, lines))


def shown(clip):
    """R'G'B' of the patches' middles as a player computes them from samples and tags."""
    found = probe(clip).picture
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
    assert found.colour.range == "tv"
    depth = 10 if found.pixel_format.endswith("10le") else 8
    planes = [np.frombuffer(p, np.uint8 if depth == 8 else np.uint16).reshape(p.height, -1) for p in frame.planes]
    centres = (np.arange(len(PATCHES)) + 0.5) / len(PATCHES)
    values = []
    for plane, samples in zip(frame.planes, planes, strict=True):
        middle = samples[plane.height // 2, (centres * plane.width).astype(int)]
        values.append(middle.astype(float))
    return to_rgb(np.stack(values, -1), found.colour.matrix, depth), found.colour


def restored(folder, clip, settings, **known):
    target, record = folder / "clip.mkv", folder / "clip.json"
    picture = facts_of(clip, **known)
    enhance_scene(clip=clip, target=target, record=record, picture=picture, frames=1, settings=settings, device=CPU)
    return target


UNTAGGED = Colour("unknown", "unknown", "unknown", "unknown")
PAL = Colour("bt470bg", "smpte170m", "bt470bg", "tv")
NTSC = Colour("smpte170m", "smpte170m", "smpte170m", "tv")
HD = Colour("bt709", "bt709", "bt709", "tv")


@pytest.mark.parametrize(
    ("lines", "tags", "written_as", "expected"),
    [
        (576, UNTAGGED, PAL, PAL),
        (480, UNTAGGED, NTSC, NTSC),
        (576, PAL, PAL, PAL),
        (576, replace(PAL, range="pc"), replace(PAL, range="pc"), PAL),
        (480, replace(HD, range="pc"), replace(HD, range="pc"), HD),
        (576, HD, HD, HD),
        (720, UNTAGGED, HD, HD),
        (576, replace(PAL, transfer="bt470bg"), PAL, replace(PAL, transfer="bt470bg")),
    ],
)
@pytest.mark.parametrize("depth", [8, 10])
def test_colours_are_what_they_were(tmp_path, lines, tags, written_as, expected, depth):
    pixel_format = "yuv422p" if depth == 8 else "yuv422p10le"
    values = to_yuv(PATCHES, written_as.matrix, written_as.range, depth)
    clip = scene(tmp_path / "scene.mkv", lines, pixel_format, values, depth=depth)
    settings = replace(PLAIN, encoder="libx264" if depth == 8 else "libx265", crf=4)
    rgb, colour = shown(restored(tmp_path, clip, settings, colour=tags))
    assert colour == expected
    assert np.abs(rgb - PATCHES).max() <= 2.5  # half a level of 8-bit chroma alone is worth 0.9 in blue


def test_rgb_becomes_video_of_the_line_count(tmp_path):
    clip = scene(tmp_path / "scene.mkv", 576, "gbrp", PATCHES.astype(float))
    rgb, colour = shown(restored(tmp_path, clip, replace(PLAIN, crf=4)))
    assert colour == PAL
    assert np.abs(rgb - PATCHES).max() <= 2.5


@pytest.mark.parametrize(("lines", "source"), [(576, "bt470bg"), (480, "smpte170m")])
def test_a_taller_picture_shows_the_same_colours_in_bt709(tmp_path, lines, source):
    clip = scene(tmp_path / "scene.mkv", lines, "yuv422p", to_yuv(PATCHES, source, "tv"))
    rgb, colour = shown(restored(tmp_path, clip, replace(PLAIN, crf=4, height_lines=720)))
    assert colour == HD
    assert np.abs(rgb - converted(PATCHES, source, "bt709")).max() <= 3


def test_colour_edges_stay_on_brightness_edges(tmp_path):
    """Resampling of chroma, 4:2:2 to 4:2:0 and 720 to 768 samples, keeps the position of colour."""
    width, height = 720, 64
    position = np.arange(width)
    luma = 120 + 60 * np.tanh((position - 360) / 12)
    chroma = 128 + 60 * np.tanh((position[::2] - 360) / 12)
    row = np.concatenate([np.tile(values.round(), (height, 1)).ravel() for values in (luma, chroma, chroma)])
    clip = clip_of(tmp_path / "scene.mkv", row.astype(np.uint8)[None], "yuv422p", (width, height))
    target = restored(tmp_path, clip, replace(PLAIN, crf=4), sample_aspect_ratio=Fraction(16, 15))
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    y, u = (
        np.frombuffer(p, np.uint8).reshape(p.height, -1)[p.height // 2, : p.width].astype(float)
        for p in frame.planes[:2]
    )

    def crossing(values, level):
        i = int(np.argmax(values >= level))
        return i - 1 + (level - values[i - 1]) / (values[i] - values[i - 1])

    assert 2 * crossing(u, 128) == pytest.approx(crossing(y, 120), abs=0.25)
