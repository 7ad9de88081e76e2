from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.core.errors import ConfigError
from tapemill.enhance.output_format import (
    BT601_NTSC,
    BT601_PAL,
    BT709,
    plan_output_format,
    source_colour,
    working_layout,
)
from tests.support.media.clips import PAL, PLAIN, UNTAGGED


def pal(**changes):
    return replace(PAL, **changes)


@pytest.mark.parametrize(
    ("picture", "settings", "size"),
    [
        (pal(), {}, (768, 576)),
        (pal(), {"preset": "fast"}, (768, 566)),
        (pal(sample_aspect_ratio=Fraction(64, 45)), {}, (1024, 576)),
        (pal(sample_aspect_ratio=Fraction(128, 117)), {}, (788, 576)),
        (pal(sample_aspect_ratio=Fraction(16, 11), width=704), {}, (1024, 576)),
        (pal(height=480, sample_aspect_ratio=Fraction(8, 9)), {}, (640, 480)),
        (pal(), {"height_lines": 1080}, (1440, 1080)),
        (pal(), {"crop_left_samples": 5, "crop_right_samples": 3}, (758, 576)),
        (pal(width=1920, height=1080, sample_aspect_ratio=Fraction(1)), {"preset": "fast"}, (1920, 1080)),
        (pal(width=721, height=577, sample_aspect_ratio=Fraction(1)), {}, (720, 576)),
        (pal(width=1, height=1, sample_aspect_ratio=Fraction(1)), {}, (64, 64)),
    ],
)
def test_pixels_become_square_and_sides_even(picture, settings, size):
    output = plan_output_format(picture, replace(PLAIN, **settings))
    assert (output.width, output.height) == size


@pytest.mark.parametrize(
    ("order", "deinterlace", "factor"),
    [("tff", "bob", 2), ("bff", "bob", 2), ("tff", "single", 1), ("tff", "off", 1), ("progressive", "bob", 1)],
)
def test_rate_doubles_only_when_both_fields_of_an_interlaced_tape_become_frames(order, deinterlace, factor):
    rate = Fraction(30000, 1001)
    output = plan_output_format(pal(field_order=order, rate=rate), replace(PLAIN, deinterlace=deinterlace))
    assert (output.frames_per_frame, output.rate) == (factor, rate * factor)


@pytest.mark.parametrize(
    ("encoder", "source", "expected"),
    [
        ("libx264", "yuv422p10le", "yuv420p"),
        ("libx265", "yuv422p10le", "yuv420p10le"),
        ("libx265", "yuv422p", "yuv420p"),
        ("hevc_qsv", "yuv420p10le", "yuv420p10le"),
        ("ffv1", "yuv422p10le", "yuv422p10le"),
        ("ffv1", "gray", "yuv420p"),
        ("ffv1", "bgr0", "yuv444p"),
    ],
)
def test_automatic_pixel_format(encoder, source, expected):
    assert plan_output_format(pal(pixel_format=source), replace(PLAIN, encoder=encoder)).pixel_format == expected


@pytest.mark.parametrize(
    ("source", "working"),
    [
        ("yuv411p", "yuv422p"),  # across lines only: a change of vertical sampling would mix fields
        ("uyvy422", "yuv422p"),
        ("nv12", "yuv420p"),
        ("yuva420p", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuv422p16le", "yuv422p10le"),
        ("pal8", "yuv444p"),
        ("gbrp10le", "yuv444p10le"),
        ("yuv444p", "yuv444p"),
        ("yuv444p10le", "yuv444p10le"),
        ("ya8", "yuv420p"),
        ("gray10le", "yuv420p10le"),
    ],
)
def test_working_format(source, working):
    assert working_layout(source).name == working


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (pal(), BT601_PAL),
        (pal(height=288), BT601_PAL),
        (pal(height=480), BT601_NTSC),
        (pal(height=486), BT601_NTSC),
        (pal(height=240), BT601_NTSC),
        (pal(height=720), BT709),
        (pal(colour=replace(UNTAGGED, matrix="bt709")), BT709),
        (pal(colour=replace(UNTAGGED, matrix="smpte170m")), BT601_NTSC),
        (pal(height=1080, colour=replace(UNTAGGED, matrix="bt470bg")), BT601_PAL),
        (pal(colour=replace(UNTAGGED, range="pc")), replace(BT601_PAL, range="pc")),
        (pal(pixel_format="gbrp", colour=replace(UNTAGGED, matrix="gbr", range="pc")), BT601_PAL),
        (pal(colour=replace(BT601_PAL, transfer="bt470bg")), replace(BT601_PAL, transfer="bt470bg")),
    ],
)
def test_colour_of_the_capture_is_tagged_or_told_by_its_lines(picture, expected):
    assert source_colour(picture) == expected


def test_colours_are_kept_up_to_576_lines_and_become_bt709_above():
    assert plan_output_format(pal(), PLAIN).colour == BT601_PAL
    assert plan_output_format(pal(), replace(PLAIN, height_lines=720)).colour == BT709
    assert plan_output_format(pal(height=480, colour=replace(BT709, range="pc")), PLAIN).colour == BT709


def test_a_crop_of_everything_is_refused():
    with pytest.raises(ConfigError, match="leaves nothing of a picture of 720 × 576"):
        plan_output_format(pal(), replace(PLAIN, crop_top_lines=300, crop_bottom_lines=276))
