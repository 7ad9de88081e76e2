"""At which frames the report looks."""

from tapemill.core.timing import FrameRange
from tapemill.report.sampling import scene_index, select_stills


def test_of_each_part_the_place_with_most_in_it_is_shown():
    assert select_stills([1, 9, 2, 3, 3, 8], 3) == [1, 3, 5]
    assert select_stills([1, None, None, None, 5, None], 3) == [0, 4]
    assert select_stills([4], 5) == [0]
    assert select_stills([None], 5) == []
    # Of equals the first.
    assert select_stills([2, 2, 2, 2], 2) == [0, 2]


def test_the_scene_of_a_frame():
    spans = [FrameRange(0, 10), FrameRange(10, 11), FrameRange(11, 50)]
    assert [scene_index(spans, frame) for frame in (0, 9, 10, 11, 49)] == [0, 0, 1, 2, 2]
