"""Captures of the field whose time stamps are odd: probed and cut, and compared with plain decoding."""

from fractions import Fraction
from itertools import pairwise

import pytest

from tapemill.capture.probe import probe_capture
from tapemill.core.timing import FrameRange
from tapemill.media import ffmpeg
from tapemill.media.capture_info import Capture
from tapemill.scenes.cut import cut_scene
from tests.support.capture_info import capture_settings
from tests.support.project import ROOT

FILES = ROOT.parent / "shared" / "field" / "picture"
# Frames, rate, frames repeated.
EXPECTED = {
    "clock_jitter_pal.mkv": (150, Fraction(25), 0),
    "gap_30fps.mp4": (3600, Fraction(30), 1),
    "h264_bframes_no_pts.avi": (150, Fraction(25), 0),
    "no_time_stamps.mpg": (24, Fraction(30), 0),
    "empty_first_stream.wmv": (44, Fraction(15), 0),
    "late_clock_fragmented.f4v": (524, Fraction(15), 0),
    "one_fps_bframes.mkv": (75, Fraction(1), 0),
}


def decoded_hashes(path, stream_index, tmp_path):
    """Hash of each frame, in order, decoded as it is."""
    listed = tmp_path / "frames.md5"
    ffmpeg.run(
        [*ffmpeg.input_args(path), "-map", f"0:{stream_index}", "-fps_mode", "passthrough", "-pix_fmt", "yuv420p",
         *ffmpeg.output_args(listed, "framemd5")], concerns=path, timeout_s=300,
    )  # fmt: skip
    return [line.rsplit(",", 1)[1].strip() for line in listed.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", EXPECTED)
def test_each_frame_of_a_field_capture_is_cut_once_and_in_order(tmp_path, name):
    source = FILES / name
    if not source.exists():
        pytest.skip("the files of the field are not here")
    frames, rate, repeated = EXPECTED[name]
    record = tmp_path / "capture.json"
    probe_capture(
        source=source, target=record, field_order="progressive", display_aspect=None, settings=capture_settings()
    )
    capture = Capture.read(record)
    take = capture.takes[0]
    assert (take.frames, take.rate, take.duplicates, take.drops) == (frames, rate, repeated, 0)

    shown = []
    for start, stop in pairwise([0, frames // 3, 2 * frames // 3, frames]):
        scene = tmp_path / f"{start}.mkv"
        warnings = cut_scene(
            source=source, take=take, sound_stream=capture.sounds[0].stream_index if capture.sounds else None,
            span=FrameRange(start, stop), target=scene, picture=capture.picture, threads=2,
        )  # fmt: skip
        assert not warnings
        shown += decoded_hashes(scene, 0, tmp_path)

    plain = decoded_hashes(source, take.stream_index, tmp_path)
    assert len(plain) == frames - repeated
    if repeated:
        shown = [one for one, before in zip(shown, [None, *shown], strict=False) if one != before]
        plain = [one for one, before in zip(plain, [None, *plain], strict=False) if one != before]
    assert shown == plain
