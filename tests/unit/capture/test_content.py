"""Captures with zeros where content belongs, and with edit lists: a verdict at once, and a remedy that works."""

import os
import subprocess

import numpy as np
import pytest

from tapemill.media.empty_ranges import EmptyRange, find_empty_ranges
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.hostile.time_limits import must_end
from tests.support.media.captures import aged, copied, look, make, refused, remarks, run, written
from tests.support.media.edit_lists import with_edit_list
from tests.support.media.frame_codes import irregular_times, make_capture

HUGE = 256 << 30
MIB = 1 << 20


@pytest.mark.parametrize("kind", ["dv", "m4v", "nut", "ts", "m2t", "mpg", "avi", "mkv", "mov", "mp3", "flac"])
def test_a_huge_file_of_zeros_is_refused_at_once(tmp_path, kind):
    path = written(tmp_path / f"a.{kind}", b"")
    os.truncate(path, HUGE)
    with must_end(60):
        refused(aged(path), "cannot be read as media: it is nothing but zeros")


def test_a_file_that_begins_with_zeros_is_refused(tmp_path):
    path = written(tmp_path / "a.dv", bytes(2 * MIB), make(tmp_path / "b.dv", seconds=1))
    refused(path, "without a head: it begins with zeros", allow_truncated=True)


def test_a_name_alone_makes_no_dv(tmp_path):
    # libavformat would search it for a frame from end to end.
    refused(written(tmp_path / "a.dv", np.random.default_rng(2).bytes(3 * MIB)), "no kind that captures come in")


@pytest.mark.parametrize("kind", ["dv", "ts", "vob", "m2v", "avi", "mkv", "flv", "mxf"])
def test_zeros_after_a_good_beginning_are_found_at_once_and_the_remedy_works(tmp_path, kind):
    path = make(tmp_path / f"a.{kind}", seconds=1)
    frames = look(path).frames
    os.truncate(path, HUGE)
    with must_end(60):
        message = refused(aged(path), "cut off: from byte", r"\(100 % of the file\)", allow_truncated=True)
    command = message.rpartition("to use the part that is there: ")[2]
    shorter = tmp_path / f"b.{kind}"
    subprocess.run(["sh", "-c", command.replace("FILE", str(path)).replace(f"NEW.{kind}", str(shorter))], check=True)
    assert look(aged(shorter)).frames == frames


def test_a_few_frames_of_zeros_at_the_end_of_dv_are_no_frames(tmp_path):
    # libavformat reads them as frames of the other television system: 25 frames a second became 29.97.
    whole = make(tmp_path / "a.dv", seconds=1)
    refused(
        written(tmp_path / "b.dv", whole, bytes(5 * 144_000)),
        "cut off: from byte (3600000|35999..) on",
        "head -c 3600000 ",
        allow_truncated=True,
    )


def test_zeros_after_the_end_of_an_mp4_do_no_harm(tmp_path):
    path = make(tmp_path / "a.mp4", seconds=1)
    os.truncate(path, HUGE)
    with must_end(60):
        assert remarks(look(aged(path))) == ""


def test_an_mp4_of_which_the_rest_was_never_written(tmp_path):
    whole = make(tmp_path / "a.mp4", "-movflags", "+faststart", "-b:v", "20M", "-x264-params", "nal-hrd=cbr",
                 "-maxrate", "20M", "-bufsize", "20M", seconds=4)  # fmt: skip
    data = whole.read_bytes()
    half = written(tmp_path / "b.mp4", data[: len(data) // 2], bytes(len(data) - len(data) // 2))
    refused(half, "cut off: from byte", "allow_truncated")
    assert "only zeros" in remarks(look(half, allow_truncated=True))


def test_a_long_stretch_of_zeros_inside_is_refused_unless_the_settings_say_so(tmp_path):
    data = make(tmp_path / "a.mkv", "-c:v", "ffv1").read_bytes()
    holed = written(tmp_path / "b.mkv", data[: len(data) // 2], bytes(40 * MIB), data[len(data) // 2 :])
    refused(holed, r"only zeros from byte \d+ to byte \d+ \(9\d % of the file\)", "allow_truncated")
    assert "only zeros" in remarks(look(holed, allow_truncated=True))


def test_black_raw_frames_are_content(tmp_path):
    path = tmp_path / "a.avi"
    run("-f", "lavfi", "-i", "color=black:s=768x576:r=25:d=2", "-pix_fmt", "bgr24", "-c:v", "rawvideo",
        *ffmpeg.output_args(path, "avi"))  # fmt: skip
    assert path.stat().st_size > 60_000_000
    assert remarks(look(aged(path))) == ""


def test_the_edges_of_a_range_are_found_to_the_byte(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as stream:
        for start, length in ((0, 3 * MIB + 7), (50 * MIB + 3, 20 * MIB), (120 * MIB + 1, 5 * MIB)):
            stream.seek(start)
            stream.write(b"\1" * length)
    os.truncate(path, 200 * MIB + 5)
    assert find_empty_ranges(path) == (
        EmptyRange(3 * MIB + 7, 50 * MIB + 3),
        EmptyRange(70 * MIB + 3, 120 * MIB + 1),
        EmptyRange(125 * MIB + 1, 200 * MIB + 5),
    )


# Edit lists. The frames of the source have B-frames: its first frame is shown 0.08 s after the start of its media.

EDITS = {
    "all of it": ([(4.0, 0.08)], 100),
    "a delay": ([(0.5, None), (4.0, 0.08)], 100),
    "a trimmed start": ([(3.0, 1.08)], 75),
    "a trimmed start that is no key frame": ([(1.48, 2.6)], 37),
}


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    path = tmp_path_factory.mktemp("counting") / "a.mp4"
    make_capture(path, frames=100, size=(320, 240))
    return path


@pytest.mark.parametrize(("edits", "frames"), EDITS.values(), ids=EDITS)
def test_ordinary_edit_lists_are_followed(tmp_path, counting, edits, frames):
    capture = look(aged(with_edit_list(counting, tmp_path / "a.mp4", edits)))
    assert (capture.frames, remarks(capture)) == (frames, "")


def test_a_part_that_is_shown_twice_is_a_remark(tmp_path, counting):
    twice = with_edit_list(counting, tmp_path / "a.mp4", [(4.0, 0.08), (2.0, 1.08)])
    capture = look(aged(twice))
    assert 148 <= capture.frames <= 152
    assert "its edit list shows 2.0 s more than once" in remarks(capture)


@pytest.mark.parametrize("edits", [[(4.0, 0.08)] * 100_000, [(0.04, 0.08)] * 100_000, [(4.0, 0.08)] * 3], ids=len)
def test_an_edit_list_that_repeats_without_measure_is_refused_at_once(tmp_path, counting, edits):
    path = aged(with_edit_list(counting, tmp_path / "a.mp4", edits))
    with must_end(60):
        message = refused(path, rf"its edit list makes \d+ s in {len(edits)} parts out of 4 s")
    command = message.rpartition("shown once: ")[2].split()
    shorter = tmp_path / "b.mkv"
    arguments = [{"FILE": str(path), "NEW.mkv": str(shorter)}.get(word, word) for word in command[1:]]
    subprocess.run([ffmpeg.binary(), "-nostdin", "-v", "error", *arguments], check=True, timeout=60)
    assert look(aged(shorter)).frames == 100


def test_a_last_frame_without_end_is_refused_if_it_would_be_repeated(tmp_path):
    path = tmp_path / "a.mp4"
    make_capture(path, times_s=irregular_times(100, 25), size=(320, 240), sound_start_s=None, b_frames=0)
    look(aged(path))
    endless = tmp_path / "b.mp4"
    copied(path, endless, "-use_editlist", 0, "-bsf:v", "setts=duration=if(eq(N\\,99)\\,100/TB\\,DURATION)")
    refused(endless, r"its last frame lasts 100\.0 s", "longest_gap_s")


def test_a_stream_that_begins_in_the_middle_is_passed_over(tmp_path):
    data = make(tmp_path / "a.flv", "-g", 12).read_bytes()
    quarter = len(data) // 4
    for number in range(8):
        start = quarter + 101 * number
        damaged = data[:start] + bytes(2 * quarter) + data[start + 2 * quarter :]
        capture = look(written(tmp_path / f"{number}.flv", damaged), allow_truncated=True, longest_gap_s=100)
        assert capture.frames > 20
