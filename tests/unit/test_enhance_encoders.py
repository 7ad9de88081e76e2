import json
from dataclasses import replace

import pytest

from enhance_media import PLAIN, clip_from, facts_of
from tapemill.enhance import choose_encoder, enhance_scene, needs_choice, output_picture
from tapemill.enhance.encoders import ENCODERS, chosen_encoder, encoder_arguments
from tapemill.errors import ConfigError, InputError, TransientError

HARDWARE = [name for name, encoder in ENCODERS.items() if encoder.software is not None]
SOFTWARE = [name for name, encoder in ENCODERS.items() if encoder.software is None]


@pytest.fixture
def clip(tmp_path):
    return clip_from(tmp_path / "scene.mkv", "testsrc=size=320x240:rate=25,format=yuv420p", frames=5)


def enhanced(folder, clip, settings, choice):
    enhance_scene(
        clip=clip,
        target=folder / "clip.mkv",
        record=folder / "clip.json",
        picture=facts_of(clip),
        frames=5,
        settings=settings,
        encoder_choice=choice,
    )
    return json.loads((folder / "clip.json").read_text())


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_that_is_not_there_gives_way_to_software_for_the_whole_tape(tmp_path, clip, name):
    settings = replace(PLAIN, encoder=name)
    choice = tmp_path / "encoder.json"
    choose_encoder(target=choice, picture=facts_of(clip), settings=settings)
    made = json.loads(choice.read_text())
    if made["encoder"] == name:
        pytest.skip(f"{name} works on this machine")
    assert (made["asked"], made["encoder"]) == (name, ENCODERS[name].software)
    assert made["reason"]
    record = enhanced(tmp_path / "out", clip, settings, choice)
    assert (record["encoder_asked"], record["encoder"]) == (name, ENCODERS[name].software)


@pytest.mark.parametrize("name", HARDWARE[:1])
def test_hardware_that_fails_after_it_was_chosen_fails_the_clip_and_never_changes_the_encoder(tmp_path, clip, name):
    settings = replace(PLAIN, encoder=name)
    trial = tmp_path / "trial.json"
    choose_encoder(target=trial, picture=facts_of(clip), settings=settings)
    if json.loads(trial.read_text())["encoder"] == name:
        pytest.skip(f"{name} works on this machine")
    choice = tmp_path / "encoder.json"
    choice.write_text(json.dumps({"asked": name, "encoder": name, "reason": ""}))
    with pytest.raises(TransientError, match=f"{name}, which was chosen for all clips") as caught:
        enhanced(tmp_path / "out", clip, settings, choice)
    assert caught.value.file == clip
    assert list((tmp_path / "out").iterdir()) == []


def test_software_needs_no_choice_and_hardware_does(tmp_path):
    assert [name for name in ENCODERS if needs_choice(replace(PLAIN, encoder=name))] == HARDWARE
    for name in SOFTWARE:
        assert chosen_encoder(None, replace(PLAIN, encoder=name)) == name
    with pytest.raises(ValueError, match="h264_qsv needs a choice"):
        chosen_encoder(None, replace(PLAIN, encoder="h264_qsv"))


def test_a_choice_made_for_another_setting_is_refused(tmp_path):
    choice = tmp_path / "encoder.json"
    choice.write_text(json.dumps({"asked": "av1_qsv", "encoder": "libsvtav1", "reason": "x"}))
    with pytest.raises(InputError, match="not for these settings"):
        chosen_encoder(choice, replace(PLAIN, encoder="h264_qsv"))


def test_a_format_that_the_encoder_has_not_is_a_configuration_error(clip):
    settings = replace(PLAIN, encoder="libsvtav1", pixel_format="yuv444p")
    with pytest.raises(ConfigError, match="libsvtav1 cannot encode yuv444p"):
        encoder_arguments("libsvtav1", output_picture(facts_of(clip), settings), settings)


def test_every_hardware_encoder_and_its_software_make_the_same_formats():
    """Otherwise a fallback could change the promised picture."""
    for name in HARDWARE:
        assert set(ENCODERS[name].pixel_formats) <= set(ENCODERS[ENCODERS[name].software].pixel_formats)


@pytest.mark.parametrize("effort", ["fast", "medium", "slow", "slower"])
@pytest.mark.parametrize("name", SOFTWARE)
def test_every_effort_is_understood(tmp_path, clip, name, effort):
    settings = replace(PLAIN, encoder=name, encoder_effort=effort, crf=30.0, keyframe_interval_s=0.1)
    assert enhanced(tmp_path / "out", clip, settings, None)["frames_out"] == 5
