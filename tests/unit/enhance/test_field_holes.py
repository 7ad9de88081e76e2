"""Clips of interlaced captures in which frames are missing: movement never goes back, and nothing is combed."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.core.timing import FrameRange
from tapemill.devices.device import CPU
from tapemill.enhance import enhance_scene
from tapemill.scenes import cut_scene
from tests.support.media.captures import aged, look
from tests.support.media.clips import LOSSLESS
from tests.support.media.frame_codes import beep_times, make_capture, read_numbers
from tests.support.project import ROOT

NULL_FRAMES = ROOT.parent / "shared" / "field" / "picture" / "make_null_frames.py"
SETTINGS = replace(LOSSLESS, field_order_by_scene=False)


def restored(tmp_path, source, order, start=0, stop=None, settings=SETTINGS):
    """The cut and the clip of a part of a capture."""
    capture = look(aged(source), order)
    span = FrameRange(start, stop or capture.frames)
    cut, clip = tmp_path / "cut.mkv", tmp_path / "clip.mkv"
    cut_scene(
        source=source,
        take=capture.takes[0],
        sound_stream=capture.sounds[0].stream_index,
        span=span,
        target=cut,
        picture=capture.picture,
        threads=1,
    )
    enhance_scene(
        clip=cut,
        target=clip,
        record=tmp_path / "clip.json",
        picture=capture.picture,
        frames=span.frames,
        settings=settings,
        device=CPU,
    )
    return cut, [reading.number for reading in read_numbers(clip)]


def held(frames, holes):
    """The fields that bob shows: in a hole the last one before it."""
    found = []
    for frame in range(frames):
        found += [found[-1]] * 2 if frame in holes else [2 * frame, 2 * frame + 1]
    return found


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_the_last_field_is_held_in_a_hole(tmp_path, order):
    holes = {12, 13, 25}
    times = [Fraction(k, 25) for k in range(40) if k not in holes]
    source = make_capture(tmp_path / "a.mkv", codec="ffv1", times_s=times, interlaced=order, size=(180, 144)).path

    _, numbers = restored(tmp_path, source, order)

    # The capture's numbers count its frames, of which none is missing.
    fields = iter(range(2 * len(times)))
    expected = []
    for frame in range(40):
        expected += [expected[-1]] * 2 if frame in holes else [next(fields), next(fields)]
    assert numbers == expected


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_null_frames_of_an_avi(tmp_path, order):
    if not NULL_FRAMES.exists():
        pytest.skip("the script that empties frames is not part of the project")
    whole, source = tmp_path / "whole.avi", tmp_path / "a.avi"
    codec = {"codec": "huffyuv", "pixel_format": "yuv422p", "gop": 1, "b_frames": 0}
    truth = make_capture(whole, frames=60, interlaced=order, size=(360, 288), **codec)
    holes = {12, 13, *range(30, 35), 50, 58, 59}
    subprocess.run([sys.executable, NULL_FRAMES, whole, source, ",".join(map(str, holes))], check=True)

    cut, numbers = restored(tmp_path, source, order)

    assert numbers == held(60, holes)
    assert beep_times(cut) == pytest.approx([float(beep) for beep in truth.beeps_s], abs=1e-3)


def test_one_frame_for_two_fields_does_not_go_back_either(tmp_path):
    times = [Fraction(k, 25) for k in range(20) if k not in (8, 9)]
    source = make_capture(tmp_path / "a.mkv", codec="ffv1", times_s=times, interlaced="tff", size=(180, 144)).path

    _, numbers = restored(tmp_path, source, "tff", settings=replace(SETTINGS, deinterlace="single"))

    assert numbers == [*range(0, 16, 2), 15, 15, *range(16, 36, 2)]
