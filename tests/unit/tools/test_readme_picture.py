from fractions import Fraction

import cv2
import pytest

from tapemill.core.errors import ToolFailed
from tapemill.media.ffmpeg import runner as ffmpeg
from tools.docs.readme_picture import GAP_SAMPLES, View, before_after

RATE = Fraction(25)
VIEW = View(frame=7, rate=RATE, lines=100, width=160, window="64:48:16:20")


def grey(path, size, rate, brightness, frames=24):
    """A film whose frame n is of one grey, as a formula of ffmpeg's geq says."""
    source = f"color=black:size={size}:rate={rate},format=gray,geq=lum='{brightness}'"
    ffmpeg.run(
        ["-f", "lavfi", "-i", source, "-frames:v", str(frames), "-c:v", "ffv1", *ffmpeg.output_args(path, "matroska")],
        concerns=path,
        timeout_s=60,
    )
    return path


@pytest.fixture
def films(tmp_path):
    """Frame n of the capture, and frames 2n and 2n + 1 of the tape, are 10 n bright."""
    before = grey(tmp_path / "capture.mkv", "120x112", 25, "10*N")
    return before, grey(tmp_path / "tape.mkv", "160x100", 50, "10*floor(N/2)", frames=48)


def test_both_halves_show_the_same_moment(films, tmp_path):
    target = tmp_path / "docs" / "picture.jpg"
    before_after(*films, target, VIEW)
    picture = cv2.imread(str(target), cv2.IMREAD_GRAYSCALE)
    assert picture.shape == (48, 64 + GAP_SAMPLES + 64)
    left, gap, right = picture[:, :60], picture[:, 66:70], picture[:, 76:]
    assert abs(left.mean() - 70) < 3
    assert abs(right.mean() - 70) < 3
    assert gap.mean() > 240


def test_a_tape_without_that_moment_is_an_error_and_leaves_no_picture(films, tmp_path):
    target = tmp_path / "picture.jpg"
    with pytest.raises((ToolFailed, FileNotFoundError)):
        before_after(*films, target, View(frame=90, rate=RATE, lines=100, width=160, window=VIEW.window))
    assert not target.exists()
