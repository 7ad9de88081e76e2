"""Captures of the field whose time stamps are odd: probed and cut, and compared with plain decoding."""

from fractions import Fraction
from itertools import pairwise

import pytest

from tapemill.audio.timeline import decode_to_timeline
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
    "clock_back_0.4s.ts": (150, Fraction(25), 0),
    "joined_programs.mpg": (300, Fraction(25), 0),
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
    takes = capture.takes
    assert (capture.frames, takes[0].rate, sum(take.duplicates for take in takes)) == (frames, rate, repeated)
    assert not any(take.drops for take in takes)

    sound = capture.sounds[0].stream_index if capture.sounds else None
    shown = []
    for take in takes:
        for start, stop in pairwise([0, take.frames // 3, 2 * take.frames // 3, take.frames]):
            scene = tmp_path / f"{len(shown)}.mkv"
            warnings = cut_scene(
                source=source, take=take, sound_stream=sound, span=FrameRange(start, stop), target=scene,
                picture=capture.picture, threads=2,
            )  # fmt: skip
            assert not warnings
            shown += decoded_hashes(scene, 0, tmp_path)

    plain = decoded_hashes(source, takes[0].stream_index, tmp_path)
    assert len(plain) == frames - repeated
    if repeated:
        shown = [one for one, before in zip(shown, [None, *shown], strict=False) if one != before]
        plain = [one for one, before in zip(plain, [None, *plain], strict=False) if one != before]
    assert shown == plain


@pytest.mark.parametrize("name", ["clock_back_0.4s.ts", "joined_programs.mpg"])
def test_sound_of_joined_recordings_is_all_there_and_beside_its_picture(tmp_path, name):
    source = FILES / name
    if not source.exists():
        pytest.skip("the files of the field are not here")
    record = tmp_path / "capture.json"
    probe_capture(
        source=source, target=record, field_order="progressive", display_aspect=None, settings=capture_settings()
    )
    capture = Capture.read(record)
    (track,) = decode_to_timeline(
        sources=[take.located(source) for take in capture.takes], takes=capture.takes, sounds=capture.sounds,
        paths=[tmp_path / "a.raw"], reached_s=lambda seconds: None,
    )  # fmt: skip

    rate_hz = track.format.sample_rate_hz
    assert track.counts.samples == round(capture.frames / capture.takes[0].rate * rate_hz)
    # What is left out is outside of the pictures: before the first, or after the last.
    assert (track.counts.overlapping, track.counts.filled, track.counts.unreadable_packets) == (0, 0, 0)
    assert track.counts.trimmed + track.counts.padded < 0.1 * rate_hz
