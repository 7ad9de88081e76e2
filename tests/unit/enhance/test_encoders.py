import json
from dataclasses import replace

import pytest

from tapemill.core.errors import ConfigError, InputError, TransientError
from tapemill.devices.device import CPU, Device
from tapemill.enhance import choose_encoder, enhance_scene, needs_choice, plan_output_format
from tapemill.enhance.encoders import ENCODERS, chosen_encoder, device_arguments, encoder_arguments
from tests.support.media.clips import PLAIN, clip_from, facts_of

HARDWARE = [name for name, encoder in ENCODERS.items() if encoder.software is not None]
SOFTWARE = [name for name, encoder in ENCODERS.items() if encoder.software is None]


@pytest.fixture
def clip(tmp_path):
    return clip_from(tmp_path / "scene.mkv", "testsrc=size=320x240:rate=25,format=yuv420p", frames=5)


def enhanced(folder, clip, settings, choice, device=CPU):
    enhance_scene(
        clip=clip,
        target=folder / "clip.mkv",
        record=folder / "clip.json",
        picture=facts_of(clip),
        frames=5,
        settings=settings,
        device=device,
        encoder_choice=choice,
    )
    return json.loads((folder / "clip.json").read_text())


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_that_is_not_there_gives_way_to_software_for_the_whole_tape(tmp_path, clip, name):
    settings = replace(PLAIN, encoder=name)
    choice = tmp_path / "encoder.json"
    choose_encoder(target=choice, picture=facts_of(clip), settings=settings, device=CPU)
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
    choose_encoder(target=trial, picture=facts_of(clip), settings=settings, device=CPU)
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


NOWHERE = Device("xpu", pci_address="ffff:1f:1f.7")
NODE = "/dev/dri/by-path/pci-ffff:1f:1f.7-render"


@pytest.mark.parametrize("name", [name for name in HARDWARE if name.endswith("_qsv")])
def test_quick_sync_encodes_on_the_card_of_the_job_or_not_at_all(tmp_path, clip, name):
    """ffmpeg itself says which device it tried to open; with another card it would have gone on to say less or more."""
    settings = replace(PLAIN, encoder=name)
    choice = tmp_path / "encoder.json"
    choose_encoder(target=choice, picture=facts_of(clip), settings=settings, device=NOWHERE)
    made = json.loads(choice.read_text())
    assert made["encoder"] == ENCODERS[name].software
    assert NODE in made["reason"]
    choice.write_text(json.dumps({"asked": name, "encoder": name, "reason": ""}))
    with pytest.raises(TransientError) as caught:
        enhanced(tmp_path / "out", clip, settings, choice, NOWHERE)
    assert NODE in str(caught.value)


def test_where_a_clip_was_made_changes_neither_it_nor_its_record(tmp_path, clip):
    for folder, device in (("here", CPU), ("there", NOWHERE)):
        enhanced(tmp_path / folder, clip, PLAIN, None, device)
    for name in ("clip.mkv", "clip.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_nvidia_encoders_need_no_device_since_they_heed_the_mask():
    for name in ENCODERS:
        asked = device_arguments(name, NOWHERE)
        assert asked == (["-qsv_device", NODE] if name.endswith("_qsv") else [])
        assert device_arguments(name, CPU) == []


def test_a_format_that_the_encoder_has_not_is_a_configuration_error(clip):
    settings = replace(PLAIN, encoder="libsvtav1", pixel_format="yuv444p")
    with pytest.raises(ConfigError, match="libsvtav1 cannot encode yuv444p"):
        encoder_arguments("libsvtav1", plan_output_format(facts_of(clip), settings), settings)


def test_every_hardware_encoder_and_its_software_make_the_same_formats():
    """Otherwise a fallback could change the promised picture."""
    for name in HARDWARE:
        assert set(ENCODERS[name].pixel_formats) <= set(ENCODERS[ENCODERS[name].software].pixel_formats)


@pytest.mark.parametrize("effort", ["fast", "medium", "slow", "slower"])
@pytest.mark.parametrize("name", SOFTWARE)
def test_every_effort_is_understood(tmp_path, clip, name, effort):
    settings = replace(PLAIN, encoder=name, encoder_effort=effort, crf=30.0, keyframe_interval_s=0.1)
    assert enhanced(tmp_path / "out", clip, settings, None)["frames_out"] == 5
