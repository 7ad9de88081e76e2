from fractions import Fraction

import pytest

from tapemill.media.rasters import FOUR_BY_THREE, RASTERS, find_raster


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 576), "16/15"),
        ((702, 576), "128/117"),
        ((704, 480), "10/11"),
        ((720, 486), "9/10"),
        ((352, 288), "12/11"),
        # Lines of VBI do not count.
        ((720, 608), "16/15"),
        ((720, 512), "9/10"),
    ],
)
def test_a_full_raster_is_four_by_three(size, expected):
    assert find_raster(*size).pixel_aspect(FOUR_BY_THREE) == Fraction(expected)


@pytest.mark.parametrize(
    ("sizes", "square_hz", "sampled_hz"),
    [
        # Clocks of square samples, and four times the colour subcarrier.
        (((922, 576), (928, 576), (948, 576)), Fraction(14_750_000), Fraction(17_734_475)),
        (((758, 480), (760, 488), (768, 486)), Fraction(135_000_000, 11), Fraction(315_000_000, 22)),
    ],
)
def test_a_decoded_tape_has_the_samples_of_its_clock(sizes, square_hz, sampled_hz):
    for size in sizes:
        found = find_raster(*size).pixel_aspect(FOUR_BY_THREE)
        assert float(found) == pytest.approx(float(square_hz / sampled_hz), rel=0.002)


def test_what_is_not_vbi_is_picture():
    found = {
        (raster.height, raster.vbi_lines, raster.picture_height) for raster in RASTERS.values() if raster.vbi_lines
    }
    assert found == {(608, 32, 576), (512, 26, 486)}


@pytest.mark.parametrize(
    ("size", "stated", "expected"),
    [
        ((720, 608), "152/135", "16/15"),  # 4:3 over all lines
        ((720, 608), "608/405", "64/45"),  # 16:9 over all lines
        ((720, 608), "1", "16/15"),  # a default, of Matroska or a codec
        ((928, 576), "1", "384/461"),
        ((928, 576), "259/311", "259/311"),
        ((720, 608), "59/54", "59/54"),
        ((720, 608), "64/45", "64/45"),
        ((720, 576), "1", "16/15"),
        ((704, 480), "1", "10/11"),
        ((480, 576), "1", "8/5"),
        ((480, 480), "1", "1"),
        ((352, 288), "1", "1"),
    ],
)
def test_a_stated_aspect_is_kept_unless_it_cannot_be_meant(size, stated, expected):
    assert find_raster(*size).corrected(Fraction(stated)) == Fraction(expected)


@pytest.mark.parametrize("size", [(640, 480), (768, 576), (768, 480), (1440, 1080), (576, 720)])
def test_other_sizes_are_unknown(size):
    assert find_raster(*size) is None
