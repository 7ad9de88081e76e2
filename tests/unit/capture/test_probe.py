import json
from fractions import Fraction

import pytest

from tapemill.capture.probe import probe_capture
from tapemill.core.errors import InputError
from tapemill.media.capture_info import Capture
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.capture_info import capture_settings
from tests.support.progress_log import facts, progressed, tell_all

SETTINGS = capture_settings()


def make(path, *, size="720x576", rate="25", seconds=2, filters="null", sound=True, options=()):
    inputs = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={seconds},gblur=sigma=2"]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=f=440:r=48000:d={seconds}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = [*inputs, "-vf", filters, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", *options]
    ffmpeg.run([*arguments, *ffmpeg.output_args(path, "matroska")], concerns=path, timeout_s=60)
    return path


def look(source, tmp_path, field_order="auto", aspect=None, settings=SETTINGS):
    target = tmp_path / "capture.json"
    probe_capture(source=source, target=target, field_order=field_order, display_aspect=aspect, settings=settings)
    return Capture.read(target)


def test_a_capture_is_described(tmp_path):
    capture = look(make(tmp_path / "a.mkv"), tmp_path)
    assert capture.kind == "file"
    assert capture.frames == 50
    assert capture.picture.rate == 25
    assert (capture.picture.width, capture.picture.height) == (720, 576)
    assert capture.picture.field_order == "progressive"
    assert capture.sounds[0].sample_rate_hz == 48000
    assert capture.notes["variable_rate"] is False


def test_the_record_is_the_same_whenever_it_is_made(tmp_path):
    source = make(tmp_path / "a.mkv")
    look(source, tmp_path)
    first = (tmp_path / "capture.json").read_bytes()
    look(source, tmp_path)
    assert (tmp_path / "capture.json").read_bytes() == first
    assert json.loads(first)["picture"]["rate"] == "25/1"


@pytest.mark.parametrize(
    ("size", "filters", "aspect", "expected"),
    [
        ("720x576", "setsar=0", None, "16/15"),  # untagged standard definition is 4:3
        ("720x576", "setsar=16/11", None, "16/11"),  # the file knows
        ("720x480", "setsar=16/11", Fraction(16, 9), "32/27"),  # the sheet knows better
        ("176x144", "setsar=128/117:max=1000", None, "128/117"),
        ("640x360", "setsar=0", None, "1/1"),
        ("928x576", "setsar=0", None, "384/461"),
        ("720x512", "setsar=0", Fraction(16, 9), "6/5"),
        ("720x576", "setsar=1", None, "16/15"),  # the default of mkvmerge
        ("720x576", "setsar=1", Fraction(5, 4), "1/1"),
    ],
)
def test_sample_aspect_comes_from_sheet_file_or_raster(tmp_path, size, filters, aspect, expected):
    capture = look(make(tmp_path / "a.mkv", size=size, filters=filters, sound=False), tmp_path, aspect=aspect)
    assert capture.picture.sample_aspect_ratio == Fraction(expected)


def test_the_aspect_of_the_container_comes_before_that_of_the_codec(tmp_path):
    codec = make(tmp_path / "a.mkv", filters="setsar=16/15", sound=False)
    both = tmp_path / "both.mkv"
    copy = ["-c", "copy", "-aspect", "16:9", *ffmpeg.output_args(both, "matroska")]
    ffmpeg.run([*ffmpeg.input_args(codec), *copy], concerns=codec, timeout_s=30)
    assert look(both, tmp_path).picture.sample_aspect_ratio == Fraction(64, 45)


def test_a_turned_picture_is_described_upright(tmp_path):
    plain = make(tmp_path / "a.mkv", size="64x48", filters="setsar=16/11", sound=False)
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
    picture = look(turned, tmp_path).picture
    assert (picture.width, picture.height, picture.sample_aspect_ratio) == (48, 64, Fraction(11, 16))


def test_field_order_is_measured_unless_the_sheet_says(tmp_path):
    source = make(tmp_path / "a.mkv", rate=50, filters="tinterlace=mode=interleave_bottom,setfield=prog", sound=False)
    assert look(source, tmp_path).picture.field_order == "bff"
    measured = look(source, tmp_path).notes["field_order"]
    assert measured["found_by"] == "movement"
    # The codec states progressive, which is weighed against it.
    assert (measured["stated"], 0.8 < measured["confidence"] < 0.9) == ("progressive", True)
    stated = look(source, tmp_path, field_order="tff")
    assert stated.picture.field_order == "tff"
    assert stated.notes["field_order"] == {"found_by": "sheet"}


@pytest.mark.parametrize(("size", "rate"), [("176x144", "25"), ("1280x720", "25"), ("720x576", "50")])
def test_what_cannot_be_interlaced_is_not_taken_for_it(tmp_path, size, rate):
    # Unblurred, the single lines of this picture look combed.
    source = tmp_path / "a.mkv"
    made = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d=1", "-c:v", "ffv1"]
    ffmpeg.run([*made, *ffmpeg.output_args(source, "matroska")], concerns=source, timeout_s=60)
    capture = look(source, tmp_path)
    assert capture.picture.field_order == "progressive"
    assert capture.notes["field_order"] == {"found_by": "size and rate"}
    assert look(source, tmp_path, field_order="tff").picture.field_order == "tff"


def test_a_folder_is_read_in_natural_order(tmp_path):
    folder = tmp_path / "scenes"
    for name, seconds in (("10.mkv", 1), ("9.mkv", 2)):
        make(folder / name, size="64x48", seconds=seconds)
    capture = look(folder, tmp_path)
    assert capture.kind == "folder"
    assert [take.frames for take in capture.takes] == [50, 25]
    assert capture.frames == 75


def test_reading_tells_how_far_it_is_over_all_files(tmp_path, monkeypatch, caplog):
    folder = tmp_path / "scenes"
    for name, seconds in (("1.mkv", 4), ("2.mkv", 2)):
        make(folder / name, size="320x240", seconds=seconds)
    tell_all(monkeypatch, caplog)
    look(folder, tmp_path)
    words = progressed(caplog)
    assert {word["step"] for word in words} == {"reading the capture"}
    frames = [word["frames"] for word in words]
    assert frames == sorted(frames)
    assert frames[-1] == 150
    # How many there are is judged by bytes: roughly at first, and well in the end.
    assert words[len(words) // 2]["total_frames"] == pytest.approx(150, rel=0.4)
    assert words[-1]["total_frames"] == pytest.approx(150, rel=0.05)
    assert facts(caplog)["frames"] == 150


@pytest.mark.parametrize("difference", [{"size": "80x48"}, {"rate": "30"}, {"sound": False}])
def test_scene_files_that_do_not_fit_together_are_named(tmp_path, difference):
    folder = tmp_path / "scenes"
    make(folder / "1.mkv", size="64x48")
    make(folder / "2.mkv", **({"size": "64x48"} | difference))
    with pytest.raises(InputError, match="does not fit") as caught:
        look(folder, tmp_path)
    assert caught.value.file.name == "2.mkv"


def test_an_empty_folder_and_a_long_pause_are_input_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no scene files"):
        look(tmp_path / "empty", tmp_path)
    gap = make(tmp_path / "gap.mkv", size="64x48", seconds=3, filters="select='not(between(n,25,60))'", sound=False,
               options=["-fps_mode", "vfr"])  # fmt: skip
    assert look(gap, tmp_path).takes[0].duplicates == 36
    with pytest.raises(InputError, match="jump"):
        look(gap, tmp_path, settings=capture_settings(longest_gap_s=1))
    assert not list(tmp_path.glob(".*partial*"))
