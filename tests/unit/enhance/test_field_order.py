from fractions import Fraction

import pytest

from tapemill.core.errors import ToolFailed
from tapemill.enhance.field_order import decide_field_order, detect_scene_field_order
from tests.support.media.clips import clip_from

MOVING = "testsrc=size=352x288:rate={rate},scroll=horizontal=0.01,noise=alls=4:allf=t,format=yuv422p"
# Frames 2k and 2k+1 of a 50 Hz picture become the two fields of frame k.
FIELDS = {"tff": "tinterlace=interleave_top", "bff": "tinterlace=interleave_bottom"}


def moving(path, order, frames):
    if order == "progressive":
        return clip_from(path, MOVING.format(rate=25), frames=frames)
    return clip_from(path, f"{MOVING.format(rate=50)},{FIELDS[order]}", frames=frames)


@pytest.mark.parametrize("tape", ["tff", "bff", "progressive"])
@pytest.mark.parametrize("scene", ["tff", "bff", "progressive"])
def test_a_moving_scene_shows_its_own_order(tmp_path, scene, tape):
    cadence = detect_scene_field_order(
        moving(tmp_path / "scene.mkv", scene, 60), frames=60, rate=Fraction(25), tape=tape
    )
    assert (cadence.field_order, cadence.own) == (scene, scene != tape)
    assert sum(cadence.seen.values()) == 24


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_a_scene_of_a_few_frames_can_be_looked_at(tmp_path, frames):
    cadence = detect_scene_field_order(
        moving(tmp_path / "scene.mkv", "tff", frames), frames=frames, rate=Fraction(25), tape="tff"
    )
    assert cadence.field_order == "tff"
    assert 1 <= sum(cadence.seen.values()) <= 8


def test_a_scene_without_movement_is_the_tape_s(tmp_path):
    still = clip_from(tmp_path / "scene.mkv", "color=gray:size=352x288:rate=25,noise=alls=9:allf=t", frames=40)
    for tape in ("tff", "bff", "progressive"):
        assert detect_scene_field_order(still, frames=40, rate=Fraction(25), tape=tape).field_order == tape


@pytest.mark.parametrize(
    ("seen", "tape", "expected"),
    [
        ({"tff": 23, "bff": 1}, "bff", "tff"),
        ({"tff": 20, "bff": 4}, "bff", "bff"),
        ({"tff": 5}, "bff", "bff"),
        ({"undetermined": 24}, "progressive", "progressive"),
        ({"tff": 6, "undetermined": 18}, "progressive", "tff"),
        ({"progressive": 24}, "tff", "progressive"),
        ({"progressive": 22, "tff": 2}, "tff", "tff"),
        ({"progressive": 9, "undetermined": 15}, "tff", "tff"),
    ],
)
def test_only_clear_disagreement_counts(seen, tape, expected):
    assert decide_field_order(seen, tape) == expected


def test_a_damaged_scene_is_named(tmp_path):
    broken = tmp_path / "scene.mkv"
    broken.write_bytes(moving(tmp_path / "whole.mkv", "tff", 20).read_bytes()[:3000])
    with pytest.raises(ToolFailed) as caught:
        detect_scene_field_order(broken, frames=20, rate=Fraction(25), tape="tff")
    assert caught.value.file == broken
