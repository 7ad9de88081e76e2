import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill import ffmpeg, media
from tapemill.errors import InputError

PAL = Fraction(25)
NTSC = Fraction(30000, 1001)


def make(path: Path, *options: str, source: str = "testsrc=s=64x48:r=25:d=1", muxer: str = "matroska") -> Path:
    arguments = ["-f", "lavfi", "-i", source, *options, *ffmpeg.target(path, muxer)]
    ffmpeg.run(arguments, concerns=path, timeout_s=60)
    return path


@pytest.mark.parametrize(("muxer", "suffix"), [("matroska", "mkv"), ("mp4", "mp4"), ("mpegts", "ts"), ("avi", "avi")])
@pytest.mark.parametrize("rate", ["25", "30000/1001", "50"])
def test_rate_and_frames_are_exact_in_any_container(tmp_path, muxer, suffix, rate):
    path = make(tmp_path / f"a.{suffix}", "-c:v", "mpeg4", source=f"testsrc=s=64x48:r={rate}:d=2", muxer=muxer)
    picture = media.probe(path).picture
    times, last = media.packet_times(path, picture.stream_index)
    chosen = media.choose_rate(times, picture.time_base, picture.stated_rates)
    grid = media.lay_grid(times, last, picture.time_base, chosen)
    assert grid.rate == Fraction(rate)
    assert grid.frames == grid.packets == round(2 * Fraction(rate))
    assert not grid.irregular


def test_a_regular_ntsc_tape_of_two_hours_in_milliseconds_is_regular():
    frames = np.arange(215_784)
    times = np.round(frames * 1001 / 30).astype(np.int64)  # whole milliseconds, as Matroska stores them
    grid = media.lay_grid(times, 33, Fraction(1, 1000), NTSC)
    assert (grid.frames, grid.duplicates, grid.drops, grid.irregular) == (215_784, 0, 0, False)


def test_gaps_repeat_and_crowded_ticks_drop():
    times = np.array([0, 40, 80, 200, 205, 240], dtype=np.int64)  # two frames are missing, two share tick 5
    grid = media.lay_grid(times, 40, Fraction(1, 1000), PAL)
    assert grid.irregular
    assert (grid.frames, grid.duplicates, grid.drops) == (7, 2, 1)


def test_a_late_start_is_no_irregularity():
    times = np.arange(100, dtype=np.int64) * 3600 + 129_600
    grid = media.lay_grid(times, 3600, Fraction(1, 90_000), PAL)
    assert not grid.irregular
    assert grid.start_s == Fraction(129_600, 90_000)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True))
def test_every_packet_finds_its_tick(times):
    stamps = np.sort(np.array(times, dtype=np.int64))
    grid = media.lay_grid(stamps, 40, Fraction(1, 1000), PAL)
    found = media.ticks(stamps, grid.start_pts, grid.time_base, grid.rate)
    assert found[0] == 0
    assert found[-1] < grid.frames
    assert grid.packets - grid.drops + grid.duplicates == grid.frames
    offsets = [abs(Fraction(int(t) - grid.start_pts, 40) - int(tick)) for t, tick in zip(stamps, found, strict=True)]
    assert max(offsets) <= Fraction(1, 2)


def test_variable_rate_takes_a_usual_rate_that_loses_little():
    generator = np.random.default_rng(1)
    times = np.cumsum(generator.choice([33, 34, 40, 66], size=400, p=[0.45, 0.45, 0.05, 0.05])).astype(np.int64)
    rate = media.choose_rate(times, Fraction(1, 1000), [Fraction(277, 10)])
    assert rate in media.USUAL_RATES
    grid = media.lay_grid(times, 33, Fraction(1, 1000), rate)
    assert grid.drops <= 0.005 * len(times)


def test_a_clock_is_not_taken_for_a_rate():
    generator = np.random.default_rng(2)
    times = np.cumsum(generator.choice([900, 3000, 3600, 90_000], size=250, p=[0.2, 0.3, 0.45, 0.05])).astype(np.int64)
    rate = media.choose_rate(times, Fraction(1, 90_000), [Fraction(90_000)])
    assert rate in media.USUAL_RATES


@pytest.mark.parametrize("times", [[0, 0, 0, 0, 0, 40], [0, 0, 0, 0, 0, 40, 90], [7] * 20])
def test_time_stamps_of_which_most_are_the_same_still_get_a_rate(times):
    rate = media.choose_rate(np.array(times), Fraction(1, 1000), [PAL])
    assert rate in {PAL, *media.USUAL_RATES}


def test_a_picture_without_a_codec_is_passed_over(tmp_path):
    # "ffv1" in the second track becomes a codec that nobody knows.
    path = make(tmp_path / "a.mkv", "-map", "0", "-map", "0", "-c:v", "ffv1", "-c:v:0", "mpeg4")
    data = path.read_bytes()
    assert data.count(b"V_MS/VFW/FOURCC") == 1 or data.count(b"V_FFV1") == 1
    path.write_bytes(data.replace(b"V_FFV1", b"V_XXXX"))
    assert media.probe(path).picture.codec == "mpeg4"
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_XXXXX/XXX/XXX"))
    with pytest.raises(InputError, match="codec is not known"):
        media.probe(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mkv")
    with pytest.raises(InputError, match="no regular file"):
        media.opened(tmp_path / "a.mkv")


def test_aspect_rotation_and_colour_are_read(tmp_path):
    plain = make(
        tmp_path / "plain.mp4",
        *("-vf", "setsar=16/11,setparams=color_primaries=bt470bg:color_trc=bt470bg:colorspace=bt470bg:range=tv"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
        muxer="mp4",
    )
    turned = tmp_path / "turned.mp4"
    ffmpeg.run(
        [*ffmpeg.source(plain, options=["-display_rotation:v:0", "90"]), "-c", "copy", *ffmpeg.target(turned, "mp4")],
        concerns=plain,
        timeout_s=30,
    )
    picture = media.probe(plain).picture
    assert picture.sample_aspect_ratio == Fraction(16, 11)
    assert picture.colour == media.Colour("bt470bg", "bt470bg", "bt470bg", "tv")
    assert picture.rotation_deg == 0
    assert media.probe(turned).picture.rotation_deg == 270  # ffmpeg's option counts counter-clockwise


def test_the_largest_picture_is_the_capture_and_covers_are_none(tmp_path):
    path = tmp_path / "a.mkv"
    inputs = ["-f", "lavfi", "-i", "testsrc=s=32x32:d=1", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1"]
    ffmpeg.run(
        [*inputs, "-map", "0", "-map", "1", "-c:v", "mpeg4", *ffmpeg.target(path, "matroska")],
        concerns=path,
        timeout_s=30,
    )
    assert media.probe(path).picture.stream_index == 1


@pytest.mark.parametrize("content", [b"", b"not media at all", b"\x1a\x45\xdf\xa3" + bytes(500)])
def test_not_media_is_an_input_error(tmp_path, content):
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        media.probe(path)
    assert caught.value.file == path
    assert caught.value.remedy


def test_missing_file_and_missing_picture(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        media.probe(tmp_path / "nothing.avi")
    sound = tmp_path / "sound.wav"
    ffmpeg.run(["-f", "lavfi", "-i", "sine=d=1", *ffmpeg.target(sound, "wav")], concerns=sound, timeout_s=30)
    with pytest.raises(InputError, match="no picture"):
        media.probe(sound)


def test_hostile_names_can_be_probed(tmp_path):
    for name in ("-dash.mkv", "it's\n100%.mkv", b"b\xe4d.mkv".decode("utf-8", "surrogateescape")):
        assert media.probe(make(tmp_path / name, "-c:v", "ffv1")).picture.width == 64
