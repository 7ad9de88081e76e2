from fractions import Fraction

import pytest

from tapemill.capture.field_order import IdetCounts, run_idet
from tapemill.media.ffmpeg import runner as ffmpeg

MOVING = "testsrc2=s=360x288:r=50:d=3,gblur=sigma=2"  # unblurred, its single lines look combed


def make(path, filters):
    ffmpeg.run(
        ["-f", "lavfi", "-i", MOVING, "-vf", filters, "-c:v", "ffv1", *ffmpeg.output_args(path, "matroska")],
        concerns=path,
        timeout_s=60,
    )
    return path


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("tinterlace=mode=interleave_top", "tff"),
        ("tinterlace=mode=interleave_bottom", "bff"),
        ("fps=25", "progressive"),
    ],
)
def test_field_order_is_found_in_the_picture_whatever_the_flags_say(tmp_path, filters, expected):
    path = make(tmp_path / "a.mkv", f"{filters},setfield=prog")
    counts = run_idet(path, 0, [Fraction(0), Fraction(1)], 25, timeout_s=60)
    order, confidence = counts.decide()
    assert counts.frames >= 50
    assert order == expected
    assert confidence >= 0.9


def test_a_tape_of_mostly_still_pictures_is_interlaced_all_the_same():
    assert IdetCounts(tff=30, bff=1, progressive=90).decide()[0] == "tff"


def test_a_few_combed_looking_frames_do_not_make_a_film_interlaced():
    order, confidence = IdetCounts(tff=4, bff=5, progressive=91).decide()
    assert order == "progressive"
    assert 0.9 < confidence < 1
    assert IdetCounts(progressive=10, undetermined=90).decide() == ("progressive", 0.1)


def test_nothing_to_judge_by_is_said_to_be_unsure():
    assert IdetCounts().decide() == ("progressive", 0.0)
    assert IdetCounts(undetermined=50).decide() == ("progressive", 0.0)
