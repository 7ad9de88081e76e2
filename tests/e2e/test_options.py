"""A tape with everything that is not the default: hardware encoder, MP4, lossy sound, voted language, silence."""

import json
from fractions import Fraction

import av

from tests.support.media.frame_codes import beep_times, make_capture, read_numbers
from tests.support.project import Project


def test_a_hardware_encoder_that_is_not_there_an_mp4_and_aac(tmp_path):
    project = Project(tmp_path / "project")
    truth = make_capture(project.path("a.mkv"), frames=120, interlaced="bff", size=(360, 288), cuts=(60,))
    project.sheet({"tape": "T", "source": "a.mkv", "field_order": "bff", "aspect": "16:9", "title": 'a=b;c#d\\e "f"'})
    project.configure(
        enhance={"encoder": "hevc_nvenc", "encoder_effort": "fast"},
        tape={"container": "mp4", "chapter_shortest_s": 0},
        audio={"codec": "aac", "loudness_lufs": -20},
    )
    jobs = project.make("all").jobs
    assert jobs["choose_encoder"] == jobs["detect_language"] == 1

    choice = json.loads(project.path("results/T/encoder.json").read_text())
    assert choice["asked"] == "hevc_nvenc"
    assert choice["encoder"] in ("hevc_nvenc", "libx265")
    assert bool(choice["reason"]) == (choice["encoder"] == "libx265")
    tape = project.path("results/T/T.mp4")
    found = read_numbers(tape)
    assert [reading.number for reading in found] == list(range(240))
    assert all(reading.time_s == Fraction(k, 50) for k, reading in enumerate(found))
    assert max(abs(a - float(b)) for a, b in zip(beep_times(tape), truth.beeps_s, strict=True)) <= 0.005
    with av.open(str(tape)) as container:
        assert container.metadata["title"] == 'a=b;c#d\\e "f"'
        picture = container.streams.video[0]
        assert Fraction(picture.width, picture.height) == Fraction(512, 288)
        assert len(container.chapters()) == 2
    assert not project.make("all").jobs
