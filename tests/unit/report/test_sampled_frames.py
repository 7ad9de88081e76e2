"""At which frames the report looks."""

import pytest

from tapemill.core.timing import FrameRange
from tapemill.enhance import plan_output_format
from tapemill.media.film.cadence import SceneFilm
from tapemill.report.sampling import SampledTape, scene_index, select_stills
from tests.support.media.clips import PAL, PLAIN


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


@pytest.mark.parametrize(
    ("films", "spans", "frames"),
    [
        ((), [(0, 80), (80, 120)], [0, 38, 78, 80, 118]),
        # The first field of a frame is of the film frame that begins in the frame before.
        (
            [SceneFilm("25", "tff", 0.99, 41, "1,2*40"), SceneFilm("25", "tff", 0.99, 20, "1.,2*19,1")],
            [(0, 41), (41, 61)],
            [0, 19, 39, 40, 59],
        ),
    ],
    ids=["video", "film"],
)
def test_a_frame_of_the_capture_is_found_on_the_tape(films, spans, frames):
    output = plan_output_format(PAL, PLAIN, films[0].rate if films else None)
    scenes = [FrameRange(0, 40), FrameRange(40, 60)]
    tape = SampledTape([], [], PAL, 0, output, ["a", "b"], scenes, films)
    assert list(tape.tape_spans) == [FrameRange(*span) for span in spans]
    assert [tape.tape_frame(frame) for frame in (0, 19, 39, 40, 59)] == frames
