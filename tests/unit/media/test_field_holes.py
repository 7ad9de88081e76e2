import numpy as np
import pytest

from tapemill.media.field_holes import Hole, find_holes, hold_fields_filters, holes_from_tag, holes_to_tag
from tests.support.media.clips import clip_of, samples


@pytest.mark.parametrize(
    ("numbers", "places", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], []),
        ([0, 1, 1, 1, 4], [0, 1, 1, 1, 4], [Hole(2, 4, 1)]),
        # The first frames of a file cannot be decoded, or those in the middle.
        ([2, 2, 2, 3], [2, 2, 2, 3], [Hole(0, 2, 2)]),
        ([0, 5, 5, 5, 6], [0, 2, 2, 2, 4], [Hole(1, 2, 2), Hole(3, 4, 2)]),
        # The scene begins or ends in a hole.
        ([7, 7, 8], [-3, -3, 2], [Hole(0, 2, -3)]),
        ([7, 8, 9], [-1, 1, 2], [Hole(0, 1, -1)]),
        ([7, 8, 9, 9], [0, 1, 5, 5], [Hole(2, 4, 5)]),
        # Without time stamps the first of a row is in its place.
        ([4, 5, 5, 6], [None] * 4, [Hole(2, 3, 1)]),
        # A time stamp that is off by a frame is no hole.
        ([4, 5, 6, 7], [0, 2, 2, 3], []),
    ],
)
def test_holes_are_rows_of_one_frame_out_of_its_place(numbers, places, expected):
    assert find_holes(numbers, places) == expected


def test_the_tag_holds_them():
    holes = (Hole(2, 4, 1), Hole(7, 8, 9))
    assert holes_from_tag(holes_to_tag(holes)) == holes
    assert holes_from_tag(None) == ()


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv420p"])
@pytest.mark.parametrize(
    ("order", "hole", "lines_kept"),
    [
        ("tff", Hole(1, 3, 0), 1),
        ("bff", Hole(1, 3, 0), 0),
        ("tff", Hole(1, 3, 3), 0),
        ("bff", Hole(1, 3, 3), 1),
    ],
    ids=["tff, last", "bff, last", "tff, first", "bff, first"],
)
def test_one_field_is_held_and_the_other_frames_stay(tmp_path, order, hole, lines_kept, pixel_format):
    width, height = 16, 12
    chroma = height // (2 if pixel_format == "yuv420p" else 1)
    rows = [*range(10, 10 + height), *range(100, 100 + chroma), *range(50, 50 + chroma)]
    lines = np.array(rows, np.uint8)
    # Lines of one field are darker by 8 or lighter: it is of another moment.
    for start, count in ((0, height), (height, chroma), (height + chroma, chroma)):
        lines[start : start + count][1 - lines_kept :: 2] += 8
    widths = np.repeat([width, width // 2], [height, 2 * chroma])
    clip = clip_of(tmp_path / "a.mkv", np.stack([np.repeat(lines, widths)] * 4), pixel_format, (width, height))

    filters = hold_fields_filters([hole], order)
    shown = samples(clip, pixel_format, filters=",".join(filters))

    planes = np.split(shown, np.cumsum([width * height, width // 2 * chroma]), axis=1)
    before = np.split(samples(clip, pixel_format), np.cumsum([width * height, width // 2 * chroma]), axis=1)
    for plane, original, count in zip(planes, before, (height, chroma, chroma), strict=True):
        held, kept = (each.reshape(4, count, -1).astype(int) for each in (plane, original))
        assert np.array_equal(held[[0, 3]], kept[[0, 3]])
        assert np.array_equal(held[1:3, lines_kept::2], kept[1:3, lines_kept::2])
        # What was a slope is one again; a line at the edge repeats its neighbour.
        slope = held[1, 1:-1, 0] - held[1, :-2, 0]
        assert set(slope[1:].tolist()) == {1}


def test_a_scene_without_holes_has_no_filter():
    assert hold_fields_filters([], "tff") == []


def test_a_scene_of_many_holes(tmp_path):
    # ffmpeg parses no more than 100 terms in a row.
    frames, holes = 600, [Hole(frame, frame + 1, frame - 1) for frame in range(1, 600, 2)]
    grey = np.full((frames, 8, 8), 100, np.uint8)
    grey[:, 1::2] = 120
    chroma = np.full((frames, 64), 128, np.uint8)
    clip = clip_of(tmp_path / "a.mkv", np.hstack([grey.reshape(frames, 64), chroma]), "yuv422p", (8, 8))
    shown = samples(clip, "yuv422p", filters=",".join(hold_fields_filters(holes, "tff")))[:, :64].reshape(grey.shape)
    assert np.array_equal(shown[::2], grey[::2])
    assert (shown[1::2] == 120).all()
