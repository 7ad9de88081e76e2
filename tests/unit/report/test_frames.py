"""Single pictures of captures and tapes: the very frame that was asked for, whatever the file."""

import base64
import json
from fractions import Fraction

import cv2
import numpy as np
import pytest

from tapemill.core.timing import FrameRange
from tapemill.enhance import OutputFormat
from tapemill.media.capture_info import Crop
from tapemill.media.colour import Colour
from tapemill.report.frames import CaptureReader, TapeReader
from tapemill.report.sampling import SampledTape, sample_report_frames
from tests.support.capture_info import capture_of
from tests.support.media.frame_codes import irregular_times, make_capture, read_number
from tests.support.records import clip_record, write_record

SD = Colour(primaries="bt470bg", transfer="smpte170m", matrix="bt470bg", range="tv")
RATE = Fraction(25)
SIZE = (192, 160)
CAPTURES = {
    "intra.mkv": {"frames": 60, "interlaced": "tff", "codec": "ffv1", "gop": 1},
    "bottom.mkv": {"frames": 60, "interlaced": "bff", "gop": 12},
    "long.ts": {"frames": 120, "gop": 60, "picture_start_s": Fraction(3)},
    "edit.mp4": {"frames": 120, "gop": 50},
    "dvd.mpg": {"frames": 60, "codec": "mpeg2video", "interlaced": "tff"},
    "open gop.ts": {"codec_options": {"preset": "superfast", "x264-params": "open-gop=1"}, "gop": 24, "b_frames": 3},
    "variable.mkv": {"times_s": irregular_times(90, RATE)},
}


def number_of(picture):
    return None if picture is None else read_number(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_shows_the_frame_of_its_grid(tmp_path, name):
    truth = make_capture(tmp_path / name, size=SIZE, **CAPTURES[name])
    capture = capture_of(truth.path, interlaced=truth.interlaced, rate=truth.rate)
    take, order = capture.takes[0], capture.picture.field_order
    wanted = [0, 1, 17, take.frames // 2, take.frames - 1]
    shown = truth.shown(take.frames)
    with CaptureReader(truth.path, take, SD, 0) as file:
        # Back and forth, as no reader does.
        found = {k: number_of(file.deinterlaced(file.frame(k), order)) for k in reversed(wanted)}
    assert found == {k: (2 if truth.interlaced else 1) * shown[k] for k in wanted}


def test_a_tape_shows_the_picture_of_a_number(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", size=SIZE, frames=150, rate=Fraction(50), gop=50)
    with TapeReader(truth.path, Fraction(50), SD) as tape:
        assert {k: number_of(tape.frame(k)) for k in (149, 0, 77, 50)} == {149: 149, 0: 0, 77: 77, 50: 50}
        assert tape.frame(400) is None
        # Inside the span, some frames after a key frame.
        assert 100 < number_of(tape.thumbnail_frame(100, 150)) <= 125
        assert number_of(tape.thumbnail_frame(149, 150)) == 149


def test_a_damaged_place_is_left_out(tmp_path):
    truth = make_capture(tmp_path / "a.avi", size=SIZE, frames=60, codec="ffv1", gop=1, sound_start_s=None)
    data = bytearray(truth.path.read_bytes())
    capture = capture_of(truth.path)
    middle = len(data) // 2
    data[middle : middle + 60_000] = bytes(60_000)
    truth.path.write_bytes(data)
    with CaptureReader(truth.path, capture.takes[0], SD, 0) as file:
        first = number_of(file.deinterlaced(file.frame(2), "progressive"))
        found = [file.frame(k) for k in range(60)]
    assert first == 2
    assert len(found) == 60


def test_a_turned_capture_is_set_upright(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", size=SIZE, frames=3, codec="ffv1")
    capture = capture_of(truth.path)
    for rotation, turn in ((0, 0), (90, -1), (180, 2), (270, 1)):
        with CaptureReader(truth.path, capture.takes[0], SD, rotation) as file:
            upright = file.deinterlaced(file.frame(1), "progressive")
        assert number_of(np.ascontiguousarray(np.rot90(upright, -turn))) == 1


def test_only_what_a_cut_has_is_shown(tmp_path):
    truth = make_capture(tmp_path / "a.mkv", size=SIZE, frames=3, codec="ffv1")
    take = capture_of(truth.path).takes[0]
    with CaptureReader(truth.path, take, SD, 180) as file:
        whole = file.deinterlaced(file.frame(1), "progressive")
    with CaptureReader(truth.path, take, SD, 180, Crop(4, 32, 180, 128)) as file:
        shown = file.deinterlaced(file.frame(1), "progressive")
    assert np.array_equal(shown, whole[32:160, 4:184])


def test_a_sample_compares_the_same_moments_in_the_same_shape(tmp_path):
    capture = make_capture(tmp_path / "capture.mkv", size=SIZE, frames=50, interlaced="tff", codec="ffv1", gop=1)
    # The tape it could have become: both fields are frames, a crop of eight lines, twice the size.
    folder = tmp_path / "results"
    folder.mkdir()
    tape = make_capture(folder / "T.mkv", size=(384, 304), frames=100, rate=Fraction(50), gop=25)
    write_record(folder / "enhanced" / "0000000.json", clip_record(crop=Crop(0, 0, 192, 152), field_order="tff"))
    known = capture_of(capture.path, interlaced="tff")
    facts = SampledTape(
        sources=[capture.path],
        takes=known.takes,
        picture=known.picture,
        rotation_deg=0,
        output=OutputFormat(384, 304, 384, 304, Fraction(50), 2, "yuv420p", SD),
        scenes=["0000000", "0000025"],
        spans=[FrameRange(0, 25), FrameRange(25, 50)],
    )
    target = folder / "sample.json"
    sample_report_frames(tape=tape.path, facts=facts, stills=3, target=target)
    sample = json.loads(target.read_text())
    first = target.read_bytes()
    assert set(sample["thumbnails"]) == {"0000000", "0000025"}
    stills = [look for look in sample["looks"] if "stills" in look]
    assert len(stills) == 3
    for look in sample["looks"]:
        before, after = look["measures"]["comb_ratio"]
        assert before > after
    for look in stills[:1]:
        before, after = (
            cv2.imdecode(np.frombuffer(base64.b64decode(still), np.uint8), cv2.IMREAD_COLOR) for still in look["stills"]
        )
        assert before.shape == after.shape == (304, 384, 3)
        assert number_of(after) == 2 * look["frame"]
    sample_report_frames(tape=tape.path, facts=facts, stills=3, target=target)
    assert target.read_bytes() == first
