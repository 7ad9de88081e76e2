"""Letters of frames whose fields come from known moments."""

import av
import numpy as np
import pytest

from tapemill.media.field_match import STRIP_WIDTH, FieldMatcher, StripReader

LINES = 288


def moment(time, noise=0.0):
    """An image that moves with time, in a direction that is neither along lines nor columns."""
    y, x = np.mgrid[0:LINES, 0:STRIP_WIDTH]
    image = 128 + 60 * np.sin(x / 5 - 0.4 * time) * np.cos(y / 9 + 0.25 * time)
    return image + noise * np.random.default_rng(round(time * 8)).standard_normal(image.shape)


def frames(tops, bottoms, noise=0.0):
    woven = []
    for top, bottom in zip(tops, bottoms, strict=True):
        image = moment(top, noise)
        image[1::2] = moment(bottom, noise)[1::2]
        woven.append(np.clip(image, 0, 255).astype(np.uint8))
    return woven


def letters(strips):
    matcher = FieldMatcher()
    for strip in strips:
        matcher.add(strip)
    return matcher.matches()


TIMES = np.arange(12)


@pytest.mark.parametrize("noise", [0.0, 12.0])
@pytest.mark.parametrize(
    ("tops", "bottoms", "letter"),
    [
        (TIMES, TIMES, "c"),
        (TIMES, TIMES + 0.5, "t"),
        (TIMES + 0.5, TIMES, "b"),
        (TIMES, TIMES + 1, "p"),
        (TIMES + 1, TIMES, "n"),
        (TIMES * 0, TIMES * 0, "."),
    ],
    ids=["progressive", "tff", "bff", "top field late", "bottom field late", "still"],
)
def test_each_kind_has_its_letter(tops, bottoms, letter, noise):
    assert letters(frames(tops, bottoms, noise)) == f".{letter * 10}."


def test_telecine_has_its_pattern():
    # 3:2 pulldown with the top field first: film frames A A A B B C C C D D by fields.
    film = np.repeat(np.arange(12), [3, 2] * 6)[:30]
    found = letters(frames(film[::2], film[1::2]))
    # Of five frames two are woven of two film frames, and their top field belongs to the bottom field before.
    assert [found[k] for k in (1, 2)] == ["p", "p"]
    assert found.count("p") == 6
    assert "n" not in found
    assert "b" not in found


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_frames_are_still(count):
    assert letters(frames(TIMES, TIMES)[:count]) == "." * count


def test_uneven_numbers_of_lines_and_tiny_frames_do_not_fail():
    assert letters([frame[:287] for frame in frames(TIMES, TIMES + 0.5)])[1:-1] == "t" * 10
    assert letters([frame[:2] for frame in frames(TIMES, TIMES + 0.5)]) == "." * 12


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv411p", "bgr0"])
def test_strips_keep_lines_apart(pixel_format):
    image = np.zeros((LINES, 720), np.uint8)
    image[::2] = 200
    strip = StripReader().strip(av.VideoFrame.from_ndarray(image, format="gray").reformat(format=pixel_format))
    assert strip.shape == (LINES, STRIP_WIDTH)
    assert strip[::2].min() - strip[1::2].max() > 150
