"""Captures that are odd in ways a tape can be, through the whole workflow: every picture, in its order."""

import json
import os
import time

import av
import pytest

from tapemill.media import packets
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.media import paff_h264
from tests.support.media.frame_codes import beep_times, make_capture, read_numbers
from tests.support.project import Project

pytestmark = pytest.mark.long
SIZE = (160, 128)


def copied(source, target, muxer, *, before=(), after=()):
    arguments = [*ffmpeg.input_args(source, options=before), "-map", "0", "-c", "copy", *after]
    ffmpeg.run([*arguments, *ffmpeg.output_args(target, muxer)], concerns=source, timeout_s=60)
    return target


def fieldwise_capture(path):
    raw = path.with_suffix(".h264")
    raw.write_bytes(paff_h264.elementary_stream(75))
    return copied(raw, path, "mpegts", before=["-f", "h264"])


def cut_off(path):
    whole = make_capture(path.with_name(f"whole-{path.name}"), frames=100, size=SIZE, gop=12).path
    if path.suffix == ".mp4":
        whole = copied(whole, path.with_name("fast.mp4"), "mp4", after=["-movflags", "+faststart"])
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def begun_late(path):
    data = make_capture(path.with_name("whole.ts"), frames=100, size=SIZE, gop=25).path.read_bytes()
    start = len(data) // 5 // 188 * 188
    path.write_bytes(data[: 3 * 188] + data[start:])


def run_over(path):
    whole = make_capture(path.with_name("before.ts"), frames=100, size=SIZE, gop=12).path
    copied(whole, path, "mpegts", after=["-output_ts_offset", f"{2**33 / 90_000 - 2}", "-muxdelay", "0"])


def joined(path):
    """Two recordings of 50 frames, the second of which begins half a second before the first ends."""
    parts = []
    for number, start_s in enumerate(("10", "11.5")):
        whole = make_capture(path.with_name(f"part{number}.ts"), frames=50, size=SIZE, gop=12).path
        part = path.with_name(f"late{number}.ts")
        parts.append(copied(whole, part, "mpegts", after=["-output_ts_offset", start_s]))
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


# Tape id: how it is made, and how many pictures it has; None where that is what can be read.
CAPTURES = {
    "single-fields.ts": (fieldwise_capture, 75),
    "cut-off.mkv": (cut_off, None),
    "cut-off-too.mp4": (cut_off, None),
    "begun-late.ts": (begun_late, None),
    "run-over.ts": (run_over, 100),
    "joined.ts": (joined, 100),
    "one-picture.mkv": (lambda path: make_capture(path, frames=1, size=SIZE), 1),
    "one-key-frame.mp4": (lambda path: make_capture(path, frames=100, size=SIZE, gop=1000, b_frames=0), 100),
    "b-frames.avi": (lambda path: make_capture(path, frames=100, size=SIZE, codec="mpeg4", b_frames=2), 100),
    "odd-size.mkv": (lambda path: make_capture(path, frames=50, size=(161, 127), pixel_format="yuv444p"), 50),
}


def tape_of(name):
    return name.replace(".", "-")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("odd") / "project")
    for name, (make, _) in CAPTURES.items():
        make(project.path(name))
        os.utime(project.path(name), (time.time() - 60,) * 2)
    project.configure(
        capture={"allow_truncated": True},
        scenes={"longest_s": 3},
        enhance={"preset": "none", "encoder_effort": "fast"},
    )
    project.sheet(*({"tape": tape_of(name), "source": name, "language": "en"} for name in CAPTURES))
    project.make("all")
    return project


@pytest.mark.parametrize("name", CAPTURES)
def test_it_becomes_a_whole_tape(project, name):
    tape = tape_of(name)
    facts = json.loads(project.path(f"results/{tape}/capture.json").read_text())
    _, frames = CAPTURES[name]
    assert frames in (None, facts["frames"])
    path = project.path(f"results/{tape}/{tape}.mkv")
    assert packets.frame_count(path) == facts["frames"]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == facts["frames"]
    assert ("remarks" in facts["notes"]) == (name.startswith(("single", "cut", "joined")))


@pytest.mark.parametrize("name", [name for name in CAPTURES if not name.startswith(("single", "joined"))])
def test_each_picture_is_in_its_place(project, name):
    tape = tape_of(name)
    numbers = [reading.number for reading in read_numbers(project.path(f"results/{tape}/{tape}.mkv"))]
    known = [number for number in numbers if number is not None]
    # Where a capture is damaged a neighbour stands in, or half a picture cannot be read; none is out of order.
    assert known == sorted(known)
    if CAPTURES[name][1] is not None:
        assert numbers == list(range(len(numbers)))
    else:
        assert len(set(known)) >= 0.85 * len(numbers)


def test_joined_recordings_follow_one_another(project):
    tape = project.path("results/joined-ts/joined-ts.mkv")
    assert [reading.number for reading in read_numbers(tape)] == [*range(50), *range(50)]
    # A beep at the beginning of each second of each recording.
    assert beep_times(tape) == pytest.approx([0, 1, 2, 3], abs=0.03)
