"""The part of a frame that is cut out, and the shape of its samples."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.capture.geometry import cut_out, geometry_remarks, sample_aspect_ratio
from tapemill.config.aspect import SheetAspect
from tapemill.media.capture_info import Crop
from tapemill.media.stream_info import VideoStreamInfo
from tests.support.media.clips import UNTAGGED

VIDEO = VideoStreamInfo(
    stream_index=0,
    codec="ffv1",
    width=720,
    height=576,
    pixel_format="yuv422p",
    bit_depth=8,
    sample_aspect_ratio=None,
    rotation_deg=0,
    stated_rates=(Fraction(25),),
    time_base=Fraction(1, 1000),
    colour=UNTAGGED,
    stated_field_order=None,
)


def video(width, height, stated=None, *, rotation=0):
    ratio = Fraction(stated) if stated else None
    return replace(VIDEO, width=width, height=height, sample_aspect_ratio=ratio, rotation_deg=rotation)


@pytest.mark.parametrize(
    ("found", "sheet", "expected"),
    [
        (video(720, 576), "auto", "16/15"),
        (video(720, 576, "64/45"), "auto", "64/45"),
        (video(720, 576, "64/45"), "4:3", "16/15"),
        (video(720, 576), "14:9", "56/45"),
        (video(720, 576, "64/45"), "12:11", "12/11"),
        # Over the active picture.
        (video(720, 608), "16:9", "64/45"),
        (video(928, 576), "4:3", "384/461"),
        (video(1000, 500), "4:3", "2/3"),
        (video(640, 360), "auto", "1"),
        # As a player turns it; nothing that is turned is a tape.
        (video(64, 48, "16/11", rotation=90), "auto", "11/16"),
        (video(360, 288, rotation=270), "auto", "1"),
        (video(360, 288, rotation=90), "3:4", "15/16"),
        (video(360, 288, rotation=90), "12:11", "12/11"),
        (video(720, 576, rotation=180), "auto", "16/15"),
    ],
)
def test_the_sheet_comes_before_the_file_and_the_file_before_the_raster(found, sheet, expected):
    assert sample_aspect_ratio(found, SheetAspect.parse(sheet)) == Fraction(expected)


@pytest.mark.parametrize(
    ("found", "container_crop", "expected"),
    [
        (video(720, 576), None, None),
        (video(720, 480), Crop(8, 0, 704, 480), None),
        (video(1440, 1080), Crop(12, 9, 1416, 1062), None),
        (video(720, 608), None, Crop(0, 32, 720, 576)),
        (video(720, 608, rotation=180), None, Crop(0, 0, 720, 576)),
        (video(720, 512), Crop(8, 32, 704, 480), Crop(0, 26, 720, 486)),
        # Lines of chroma stay with their field.
        (replace(video(720, 512), pixel_format="yuv420p"), None, Crop(0, 28, 720, 484)),
        # What a codec adds to 1080 lines.
        (video(1920, 1088), Crop(0, 0, 1920, 1080), Crop(0, 0, 1920, 1080)),
        (video(1920, 1088, rotation=90), Crop(0, 0, 1920, 1080), Crop(8, 0, 1080, 1920)),
        (video(1920, 1088, rotation=270), Crop(0, 0, 1920, 1080), Crop(0, 0, 1080, 1920)),
        (video(1920, 1088), None, None),
    ],
)
def test_only_what_is_never_picture_is_left_out(found, container_crop, expected):
    assert cut_out(found, container_crop) == expected


def test_a_crop_that_is_not_applied_is_remarked():
    (remark,) = geometry_remarks(video(720, 480), Crop(8, 0, 704, 478))
    assert "crops its frames of 720 × 480: left 8, right 8, top 0, bottom 2; this is not applied" in remark
    assert list(geometry_remarks(video(720, 480), None)) == []
    assert list(geometry_remarks(video(1920, 1088), Crop(0, 0, 1920, 1080))) == []
    for crop in (None, Crop(0, 32, 720, 576)):
        (remark,) = geometry_remarks(video(720, 608), crop)
        assert "first 32 lines are of the vertical blanking interval" in remark


def test_square_pixels_that_no_tape_has_are_remarked():
    (remark,) = geometry_remarks(video(720, 576, "1"), None)
    assert "square pixels, which no tape has in frames of 720 × 576" in remark
    assert list(geometry_remarks(video(768, 576, "1"), None)) == []
    assert list(geometry_remarks(video(576, 720, "1", rotation=90), None)) == []
