from fractions import Fraction

import pytest

from tapemill.config.aspect import SheetAspect
from tapemill.core.errors import ConfigError


@pytest.mark.parametrize("text", ["4:3", "16:9", "14:9", "3:2", "5:4", "185:100", "3:4", "9:16"])
def test_a_display_aspect_is_known_by_its_size(text):
    assert SheetAspect.parse(text) == SheetAspect(display=Fraction(text.replace(":", "/")))


@pytest.mark.parametrize(
    "text",
    ["1:1", "12:11", "11:12", "10:11", "59:54", "16:15", "8:9", "40:33", "32:27", "6:7", "16:11", "64:45", "118:81"],
)
def test_a_pixel_aspect_is_near_square_or_known(text):
    assert SheetAspect.parse(text) == SheetAspect(pixel=Fraction(text.replace(":", "/")))


def test_auto_is_neither():
    assert SheetAspect.parse("auto") == SheetAspect()


@pytest.mark.parametrize("text", ["1:5", "43:9"])
def test_a_shape_that_no_picture_has_is_refused(text):
    with pytest.raises(ConfigError, match=text) as caught:
        SheetAspect.parse(text)
    assert "4:3" in caught.value.remedy
