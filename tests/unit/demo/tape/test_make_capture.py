import hashlib
from fractions import Fraction

import av
import numpy as np
import pytest

from demo.tape import make_capture, speech, storyboard
from demo.tape import scenes as picture
from tapemill.core.timing import FrameRange
from tapemill.media import packets, probe


@pytest.fixture
def short_tape(monkeypatch, tmp_path):
    """Two scenes of a few frames, and one spoken word's worth of recording."""
    scenes = (
        storyboard.DemoScene("beach", FrameRange(0, 6), "silence"),
        storyboard.DemoScene("christmas", FrameRange(6, 10), "room", stamp="24 DEC 1994"),
    )
    monkeypatch.setattr(storyboard, "SCENES", scenes)
    monkeypatch.setattr(storyboard, "FRAMES", 10)
    time_s = np.arange(1600) / 16_000
    speech._write_flac(tmp_path / "speech.flac", (1500 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16))
    speech.write_table(tmp_path / "speech.tsv", [speech.SpokenSentence("Mom.", 0, 0.1, 2, "en-us+m3", 155)])

    def make(name, threads):
        folder = tmp_path / name
        make_capture.make_capture(
            recording=tmp_path / "speech.flac",
            table=tmp_path / "speech.tsv",
            capture=folder / "capture.mkv",
            truth=folder / "truth.mkv",
            threads=threads,
        )
        return folder

    return make


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def test_the_same_bytes_on_any_number_of_threads_and_nothing_left_over(short_tape):
    one, other = short_tape("one", 1), short_tape("other", 3)
    for name in ("capture.mkv", "truth.mkv"):
        digests = {hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (one, other)}
        assert len(digests) == 1
    assert sorted(path.name for path in one.iterdir()) == ["capture.mkv", "truth.mkv"]


def test_the_capture_is_pal_as_capture_programs_write_it(short_tape):
    folder = short_tape("tape", 2)
    tape, truth = probe.probe(folder / "capture.mkv"), probe.probe(folder / "truth.mkv")
    assert (tape.picture.codec, tape.picture.pixel_format) == ("ffv1", "yuv422p")
    assert truth.picture.pixel_format == "yuv420p"
    for facts, rate in ((tape, 25), (truth, 50)):
        assert (facts.picture.width, facts.picture.height) == (720, 576)
        assert facts.picture.sample_aspect_ratio == Fraction(16, 15)
        assert facts.picture.colour.matrix == facts.picture.colour.primaries == "bt470bg"
        assert facts.picture.stated_rates[0] == rate
        assert facts.sounds[0].sample_rate_hz == 48_000
        assert facts.sounds[0].channels == 2
    assert packets.frame_count(folder / "capture.mkv") == 10
    assert packets.frame_count(folder / "truth.mkv") == 20


def test_the_truth_is_kept_without_loss_and_the_capture_shows_its_moments(short_tape):
    folder = short_tape("tape", 2)
    clean, tape = pictures(folder / "truth.mkv"), pictures(folder / "capture.mkv")
    draw = picture.scene_paint(storyboard.SCENES[0])
    for tick in (0, 5):
        assert clean[tick].tobytes() == make_capture.planar_420(draw(tick))
    for frame in (1, 7):
        luma = tape[frame][:560].astype(float)
        for field in (0, 1):
            lines = slice(field, 560, 2)
            right, wrong = (clean[tick][lines].astype(float) for tick in (2 * frame + field, 19 - 2 * frame))
            assert np.abs(luma[lines, :] - right).mean() < np.abs(luma[lines, :] - wrong).mean()
