"""Every frame once, in order, at its time, and every beep at its frame, from capture to finished tape."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tapemill.media.capture_info import Capture
from tests.support.media.frame_codes import beep_times, irregular_times, make_capture, read_numbers
from tests.support.project import Project

NTSC = Fraction(30000, 1001)
CASES = {
    "25i": {"interlaced": "tff", "cuts": (60, 130)},
    "29.97i": {"rate": NTSC, "interlaced": "bff", "cuts": (70, 140)},
    "50p": {"rate": Fraction(50), "cuts": (120, 260), "frames": 400},
    "late sound": {"interlaced": "tff", "sound_start_s": Fraction(37, 100), "cuts": (60, 130)},
    "late picture": {"picture_start_s": Fraction(23, 100), "cuts": (60, 130)},
    "variable rate": {"times_s": irregular_times(200, Fraction(25)), "cuts": (60, 130)},
    "mp4 with B-frames": {"gop": 100, "b_frames": 3, "suffix": "mp4", "cuts": (60, 130)},
    "transport stream": {"suffix": "ts", "rate": NTSC, "cuts": (60, 130)},
}
# Fields, a rate that changes, and sound with another start than the picture, at every change; the others now and then.
QUICK = ("25i", "variable rate", "late sound")
BEEP_TOLERANCE_S = 0.005


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in CASES]
)
def test_every_frame_and_every_beep_is_in_its_place(tmp_path, name):
    case = {"frames": 200, "size": (720, 576) if "i" in name else (360, 288)} | CASES[name]
    suffix = case.pop("suffix", "mkv")
    project = Project(tmp_path / "project")
    project.configure(enhance={"encoder_effort": "fast"}, scenes={"longest_s": 3})
    truth = make_capture(project.path(f"capture.{suffix}"), **case)
    order = truth.interlaced or "progressive"
    project.sheet({"tape": "T", "source": f"capture.{suffix}", "language": "en", "field_order": order})
    project.make("all")

    capture = Capture.read(project.path("results/T/capture.json"))
    tape = project.path("results/T/T.mkv")
    found = read_numbers(tape)
    rate = capture.picture.rate * (2 if truth.interlaced else 1)
    # A variable rate becomes the constant rate that the capture stage chose.
    shown = replace(truth, rate=capture.picture.rate).shown(capture.frames)
    assert [reading.number for reading in found] == truth.numbers(shown)
    # Matroska stores whole milliseconds: half of one is the most that a time may be off.
    assert max(abs(reading.time_s - k / rate) for k, reading in enumerate(found)) <= Fraction(1, 2000)
    heard = beep_times(tape)
    assert len(heard) == len(truth.beeps_s)
    assert max(abs(a - float(b)) for a, b in zip(heard, truth.beeps_s, strict=True)) <= BEEP_TOLERANCE_S
    borders = [line.split("\t")[1] for line in project.path("results/T/scenes.tsv").read_text().splitlines()[2:]]
    assert len(borders) >= len(truth.cuts)
