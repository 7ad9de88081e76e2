import os
from fractions import Fraction
from pathlib import Path

import pytest

from tapemill.core.errors import InputError
from tapemill.media import probe
from tapemill.media.clock.cfr import fit_cfr_grid
from tapemill.media.clock.frame_rate import guess_frame_rate
from tapemill.media.colour import Colour
from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.packets import scan_packets


def make(path: Path, *options: str, source: str = "testsrc=s=64x48:r=25:d=1", muxer: str = "matroska") -> Path:
    arguments = ["-f", "lavfi", "-i", source, *options, *ffmpeg.output_args(path, muxer)]
    ffmpeg.run(arguments, concerns=path, timeout_s=60)
    return path


@pytest.mark.parametrize(("muxer", "suffix"), [("matroska", "mkv"), ("mp4", "mp4"), ("mpegts", "ts"), ("avi", "avi")])
@pytest.mark.parametrize("rate", ["25", "30000/1001", "50"])
def test_rate_and_frames_are_exact_in_any_container(tmp_path, muxer, suffix, rate):
    path = make(tmp_path / f"a.{suffix}", "-c:v", "mpeg4", source=f"testsrc=s=64x48:r={rate}:d=2", muxer=muxer)
    picture = probe.probe(path).picture
    found = scan_packets(path, picture.stream_index)
    chosen = guess_frame_rate(found.times, picture.time_base, picture.stated_rates)
    grid = fit_cfr_grid(found.times, found.last_duration, picture.time_base, chosen)
    assert grid.rate == Fraction(rate)
    assert grid.frames == grid.packets == round(2 * Fraction(rate))
    assert not grid.irregular


def test_a_picture_without_a_codec_is_passed_over(tmp_path):
    # "ffv1" in the second track becomes a codec that nobody knows.
    path = make(tmp_path / "a.mkv", "-map", "0", "-map", "0", "-c:v", "ffv1", "-c:v:0", "mpeg4")
    data = path.read_bytes()
    assert data.count(b"V_MS/VFW/FOURCC") == 1 or data.count(b"V_FFV1") == 1
    path.write_bytes(data.replace(b"V_FFV1", b"V_XXXX"))
    assert probe.probe(path).picture.codec == "mpeg4"
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_XXXXX/XXX/XXX"))
    with pytest.raises(InputError, match="codec is unknown"):
        probe.probe(path)


@pytest.mark.parametrize(("place", "length"), [(209, 3), (218, 3), (200, 20), (209, 20), (200, 100)])
def test_a_container_that_is_damaged_before_its_first_picture(tmp_path, place, length):
    path = make(tmp_path / "a.flv", "-c:v", "libx264", muxer="flv")
    data = path.read_bytes()
    path.write_bytes(data[:place] + data[place + length :])
    with pytest.raises(InputError, match=r"no frame could be decoded|no frames"):
        probe.probe(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mkv")
    with pytest.raises(InputError, match="no regular file"):
        probe.open_media(tmp_path / "a.mkv")


def test_aspect_rotation_and_colour_are_read(tmp_path):
    plain = make(
        tmp_path / "plain.mp4",
        *("-vf", "setsar=16/11,setparams=color_primaries=bt470bg:color_trc=bt470bg:colorspace=bt470bg:range=tv"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
        muxer="mp4",
    )
    turned = tmp_path / "turned.mp4"
    ffmpeg.run(
        [
            *ffmpeg.input_args(plain, options=["-display_rotation:v:0", "90"]),
            "-c",
            "copy",
            *ffmpeg.output_args(turned, "mp4"),
        ],
        concerns=plain,
        timeout_s=30,
    )
    picture = probe.probe(plain).picture
    assert picture.sample_aspect_ratio == Fraction(16, 11)
    assert picture.colour == Colour("bt470bg", "bt470bg", "bt470bg", "tv")
    assert picture.rotation_deg == 0
    assert probe.probe(turned).picture.rotation_deg == 270  # ffmpeg's option counts counter-clockwise


def test_the_largest_picture_is_the_capture_and_covers_are_none(tmp_path):
    path = tmp_path / "a.mkv"
    inputs = ["-f", "lavfi", "-i", "testsrc=s=32x32:d=1", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1"]
    ffmpeg.run(
        [*inputs, "-map", "0", "-map", "1", "-c:v", "mpeg4", *ffmpeg.output_args(path, "matroska")],
        concerns=path,
        timeout_s=30,
    )
    assert probe.probe(path).picture.stream_index == 1


@pytest.mark.parametrize("content", [b"", b"not media at all", b"\x1a\x45\xdf\xa3" + bytes(500)])
def test_not_media_is_an_input_error(tmp_path, content):
    path = tmp_path / "a.mkv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        probe.probe(path)
    assert caught.value.file == path
    assert caught.value.remedy


def test_missing_file_and_missing_picture(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        probe.probe(tmp_path / "nothing.avi")
    sound = tmp_path / "sound.wav"
    ffmpeg.run(["-f", "lavfi", "-i", "sine=d=1", *ffmpeg.output_args(sound, "wav")], concerns=sound, timeout_s=30)
    with pytest.raises(InputError, match="no video"):
        probe.probe(sound)


def test_hostile_names_can_be_probed(tmp_path):
    for name in ("-dash.mkv", "it's\n100%.mkv", b"b\xe4d.mkv".decode("utf-8", "surrogateescape")):
        assert probe.probe(make(tmp_path / name, "-c:v", "ffv1")).picture.width == 64
