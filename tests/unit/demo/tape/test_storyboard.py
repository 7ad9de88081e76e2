from itertools import pairwise

from demo import SCENES
from demo.tape import storyboard
from demo.tape.sentences import TEMPLATES


def test_scenes_follow_each_other_without_gap_or_overlap():
    assert SCENES[0].span.start_frame == 0
    for one, other in pairwise(SCENES):
        assert one.span.stop_frame == other.span.start_frame
    assert SCENES[-1].span.stop_frame == storyboard.FRAMES == 60 * storyboard.RATE


def test_the_tape_has_every_kind_of_scene_the_pipeline_must_cope_with():
    assert len(SCENES) >= 8
    assert [scene.name for scene in SCENES if scene.span.duration_s(storyboard.RATE) > 30] == ["pier"]
    assert [scene.name for scene in SCENES if scene.ambience == "silence"] == ["beach"]
    assert {scene.name for scene in SCENES if not scene.lines} == {"mountains", "beach"}
    fades = [(one.fade_out_frames, other.fade_in_frames) for one, other in pairwise(SCENES)]
    assert sum(1 for out, into in fades if out and into) == 1
    assert sum(1 for out, into in fades if not out and not into) == len(SCENES) - 2


def test_lines_lie_within_their_scenes_and_do_not_overlap():
    for scene in SCENES:
        spans = [(line.frame, line.frame + line.max_duration_s * storyboard.RATE) for line in scene.lines]
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        assert all(stop <= scene.span.frames for _, stop in spans)
        assert all(template in TEMPLATES for line in scene.lines for template in line.templates)
