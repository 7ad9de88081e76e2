from dataclasses import replace
from fractions import Fraction

import av
import pytest

from tapemill.core.errors import GateError
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.enhance.filters.graph import SceneGraphInput
from tapemill.enhance.verify import verify_clip
from tests.support.media.clips import LOSSLESS, PLAIN, clip_from, facts_of

FRAMES = 30


@pytest.fixture
def clip(tmp_path):
    return clip_from(tmp_path / "scene.mkv", "testsrc=size=320x240:rate=25,format=yuv420p", frames=FRAMES)


def check(path, clip, settings=LOSSLESS, **known):
    scene = SceneGraphInput.of(facts_of(clip, **known), "progressive", settings)
    return verify_clip(path, target=path, clip=clip, scene=scene, frames=FRAMES)


def restored(folder, clip, settings=LOSSLESS):
    target = folder / "clip.mkv"
    record = folder / "clip.json"
    picture = facts_of(clip)
    enhance_scene(
        clip=clip, target=target, record=record, picture=picture, frames=FRAMES, settings=settings, device=CPU
    )
    return target


def test_a_good_clip_passes_and_looks_like_its_scene(tmp_path, clip):
    passed = check(restored(tmp_path, clip), clip)
    assert passed.frames == FRAMES
    assert len(passed.similarity) == 2 and min(passed.similarity) > 0.999


@pytest.mark.parametrize(
    ("known", "settings", "message"),
    [
        ({"sample_aspect_ratio": Fraction(12, 11)}, {}, "width is 320, not 350"),
        ({}, {"height_lines": 480}, "width is 320, not 640"),
        ({"rate": Fraction(30)}, {}, "off their times"),
        ({}, {"pixel_format": "yuv422p"}, "pixel format is yuv420p, not yuv422p"),
        ({"height": 242}, {}, "height is 240, not 242"),
    ],
)
def test_what_differs_is_said(tmp_path, clip, known, settings, message):
    with pytest.raises(GateError, match=message):
        check(restored(tmp_path, clip), clip, replace(LOSSLESS, **settings), **known)


@pytest.mark.parametrize(
    "other", ["color=green", "color=black", "testsrc2", "testsrc,hflip", "mandelbrot", "rgbtestsrc,negate"]
)
def test_another_picture_does_not_pass_for_the_scene(tmp_path, clip, other):
    name, *more = other.split(",")
    size = f"{name}{':' if '=' in name else '='}size=320x240:rate=25"
    wrong = clip_from(tmp_path / "wrong.mkv", ",".join([size, *more, "format=yuv420p"]), frames=FRAMES)
    with pytest.raises(GateError, match="does not show what its scene shows"):
        check(restored(tmp_path, wrong), clip)


def remuxed(source, target, *, frames, key_frames=()):
    """Copy the first frames of a clip; those of `key_frames` are called key frames too."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(each for each in given.demux(video=0) if each.size):
            if number < frames:
                packet.is_keyframe |= number in key_frames
                packet.stream = stream
                made.mux(packet)
    return target


def test_a_clip_with_a_frame_too_few_is_refused(tmp_path, clip):
    short = remuxed(restored(tmp_path, clip), tmp_path / "short.mkv", frames=FRAMES - 1)
    with pytest.raises(GateError, match=f"the clip has {FRAMES - 1} frames, not {FRAMES}") as caught:
        check(short, clip)
    assert "delete scene.mkv of the scenes" in caught.value.remedy


def test_a_clip_whose_last_key_frame_is_none_is_refused(tmp_path, clip):
    settings = replace(LOSSLESS, encoder="libx264", crf=0)
    good = restored(tmp_path, clip, settings)
    wrong = remuxed(good, tmp_path / "wrong.mkv", frames=FRAMES, key_frames=[FRAMES - 1])
    check(good, clip, settings)
    with pytest.raises(GateError, match="the clip has no frame that can be decoded"):
        check(wrong, clip, settings)


def test_a_small_scene_with_a_border_is_not_compared(tmp_path):
    small = clip_from(tmp_path / "scene.mkv", "testsrc=size=16x16:rate=25,format=yuv420p", frames=FRAMES)
    assert check(restored(tmp_path, small), small).similarity == ()


def test_a_scene_in_rgb_is_compared_like_others(tmp_path):
    scene = clip_from(tmp_path / "scene.mkv", "testsrc=size=320x240:rate=25,format=gbrp", frames=FRAMES)
    assert min(check(restored(tmp_path, scene), scene).similarity) > 0.99


@pytest.mark.parametrize(
    "picture",
    [
        "color=black:size=320x240:rate=25",
        "color=gray:size=320x240:rate=25,noise=alls=60:allf=t",
        "testsrc=size=320x240:rate=25,fade=in:0:25",
        "testsrc=size=320x240:rate=25,noise=alls=40:allf=t",
        "color=black:size=320x240:rate=25,drawbox=x=20:y=20:w=10:h=8:color=white:t=fill",
    ],
)
def test_dark_flat_noisy_and_fading_scenes_pass(tmp_path, picture):
    scene = clip_from(tmp_path / "scene.mkv", f"{picture},format=yuv420p", frames=FRAMES)
    assert restored(tmp_path, scene, replace(PLAIN, preset="fast")).exists()
