"""What the doctor says of ffmpeg and its encoders; a real ffmpeg, or one that a setting may name by mistake."""

import sys

import pytest

from tapemill.enhance.encoders import ENCODERS
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.fakes.ffmpeg import program

HARDWARE = [name for name, encoder in ENCODERS.items() if encoder.software is not None]


def stand_in(folder, kind, only=""):
    return str(program(folder / "ffmpeg", ffmpeg.binary(), kind, only))


def test_the_installed_ffmpeg_is_named_with_its_build_and_does_the_filters(patient):
    told, filters = patient.found("check_ffmpeg", "check_filters")
    assert told.level == filters.level == "ok"
    assert told.title.startswith("ffmpeg version ")
    assert "libx264" in dict(told.facts)["built with"]


def test_every_encoder_is_tried_and_told(patient):
    found = patient.found("check_encoders")
    assert {finding.level for finding in found} == {"ok"}
    working = found[0].title.removeprefix("encoders that work: ").split(", ")
    failing = dict(found[1].facts) if len(found) > 1 else {}
    assert {*working, *failing} == set(ENCODERS)
    assert {"libx264", "libx265", "libsvtav1", "ffv1"} <= set(working)
    assert all(failing.values())


@pytest.mark.parametrize("name", [HARDWARE[0], "h264_nvenc"])
def test_hardware_that_is_asked_for_and_does_not_work_is_a_warning(patient, name):
    patient.configure(enhance={"encoder": name})
    found = patient.found("check_encoders")
    if name in found[0].title and found[0].level == "ok":
        pytest.skip(f"{name} works on this machine")
    assert found[0].level == "warning"
    assert f"tapes will get {ENCODERS[name].software} instead" in found[0].title
    assert f"set enhance: encoder: {ENCODERS[name].software}" in found[0].remedy
    assert found[0].facts[0][1]


def test_a_software_encoder_that_is_asked_for_and_does_not_work_is_an_error(patient):
    patient.configure(enhance={"encoder": "libx265"}, ffmpeg=stand_in(patient.folder, "killed", "libx265"))
    wrong = patient.only("check_encoders")
    assert "the encoder libx265 does not work" in wrong.title
    assert "choose another" in wrong.remedy
    assert "libx264" in patient.found("check_encoders", level="ok")[0].title


def test_a_format_that_the_encoder_has_not_is_an_error(patient):
    patient.configure(enhance={"encoder": "libsvtav1", "pixel_format": "yuv444p"})
    assert "libsvtav1 cannot encode yuv444p" in patient.only("check_encoders").title


def test_a_program_that_is_no_ffmpeg_or_not_there_is_an_error(patient):
    patient.configure(ffmpeg=sys.executable)
    assert patient.found("check_ffmpeg", "check_filters", level="error")[0].remedy
    patient.configure(ffmpeg=stand_in(patient.folder, "missing"))
    for check in ("check_ffmpeg", "check_filters", "check_encoders"):
        wrong = patient.only(check)
        assert "ffmpeg could not be started" in wrong.title
        assert "correct the setting `ffmpeg`" in wrong.remedy
    patient.configure(ffmpeg=stand_in(patient.folder, "empty", "-version"))
    wrong = patient.only("check_ffmpeg")
    assert wrong.title == "the program of the setting `ffmpeg` is no ffmpeg"
    assert "leave the setting `ffmpeg` empty" in wrong.remedy


def test_an_ffmpeg_without_a_filter_is_an_error(patient):
    # As another build says it that knows no bwdif.
    real = ffmpeg.binary()
    other = patient.path("ffmpeg")
    other.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"os.execv({real!r}, [{real!r}, *(word.replace('bwdif', 'gone') for word in sys.argv[1:])])\n"
    )
    other.chmod(0o755)
    patient.configure(ffmpeg=str(other))
    wrong = patient.only("check_filters")
    assert wrong.title == "ffmpeg cannot do the filters of the chain"
    assert any("gone" in said for _, said in wrong.facts)
    assert patient.found("check_ffmpeg")[0].level == "ok"
