from dataclasses import replace
from pathlib import Path

import pytest

from tapemill.config.schema import check_values, load_config
from tapemill.core.errors import ConfigError
from tapemill.enhance.chain import Chain, preset_chain, resolve_chain, validate_order
from tapemill.enhance.settings import PRESETS
from tapemill.models import Model
from tests.support.media.clips import PLAIN

SCALES = {"sharp": 1, "double": 2, "vrt-x": 1}


def find(name):
    kind = "vrt" if name.startswith("vrt") else "frame"
    return Model(name, kind, Path(f"resources/models/{name}.pth"), "0" * 64, SCALES[name], "")


def section(**changes):
    return load_config({"enhance": changes})["enhance"]


def chain_of(**changes):
    complete = resolve_chain(section(**changes), find, lambda own: check_values("enhance", own, "enhance.chain"))
    return complete, Chain.of(replace(PLAIN, **complete))


def test_a_chain_of_names_and_settings_is_taken_apart_at_its_networks():
    complete, chain = chain_of(
        chain=[
            "deinterlace",
            {"crop": {"bottom_lines": 12}},
            {"denoise": {"luma_temporal": 4}},
            {"network": {"model": "vrt-x", "sigma": 15, "frames": 8}},
            {"network": {"model": "double", "strength": 0.5}},
            "sharpen",
            {"resize": {"height_lines": 720}},
            {"grain": {"levels": 2}},
        ]
    )
    assert [step.name for step in chain.before] == ["denoise"]
    assert chain.before[0].own == {"denoise_luma_temporal": 4}
    assert [(step.model, step.kind, step.scale) for step in chain.networks] == [
        ("vrt-x", "vrt", 1),
        ("double", "frame", 2),
    ]
    assert (chain.networks[0].sigma, chain.networks[0].frames, chain.networks[1].strength) == (15, 8, 0.5)
    assert [step.name for step in chain.after] == ["sharpen"]
    assert [step.name for step in chain.last] == ["grain"]
    assert (complete["crop_bottom_lines"], complete["height_lines"], chain.scale) == (12, 720, 2)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_chain_that_can_be(preset):
    complete, chain = chain_of(preset=preset, frame_model="sharp", vrt_model="vrt-x")
    assert [step.model for step in chain.networks] == {"good": ["sharp"], "best": ["vrt-x", "sharp"]}.get(preset, [])
    assert "denoise" in [step.name for step in chain.before]
    # What a job gets is complete already, and stays as it is.
    assert Chain.of(replace(PLAIN, **complete)) == chain


def test_a_preset_without_networks_needs_no_registry():
    assert Chain.of(PLAIN) == Chain.of(replace(PLAIN, **chain_of(preset="none")[0]))


def test_resizing_is_implied_where_it_belongs():
    _, chain = chain_of(chain=["denoise", {"network": {"model": "sharp"}}, "grain"])
    assert [step.name for step in chain.last] == ["grain"]
    assert chain.after == ()


def test_a_step_without_settings_takes_those_of_the_section():
    complete, chain = chain_of(denoise_luma_spatial=7.0, chain=["denoise", {"denoise": {"luma_spatial": 1}}])
    settings = replace(PLAIN, **complete)
    strengths = [settings.filters(lines=576, own=step.own).denoise_luma_spatial for step in chain.before]
    assert strengths == [7.0, 1]


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (["denoize"], ["step 1", "denoize", "did you mean 'denoise'"]),
        (["crop", {"denoise": {"luma_spacial": 3}}], ["step 2", "luma_spacial", "did you mean 'luma_spatial'"]),
        ([{"denoise": {"luma_spatial": 99}}], ["denoise_luma_spatial", "99", "maximum"]),
        ([{"denoise": 3}], ["settings of denoise", "luma_spatial"]),
        ([{"denoise": {}, "crop": {}}], ["is no step"]),
        ([7], ["7 is no step"]),
        (["network"], ["a network needs a model"]),
        ([{"network": {"model": "sharp", "sigma": 900}}], ["sigma of sharp", "900", "75"]),
        ([{"network": {"model": "sharp", "frames": 2.5}}], ["frames of sharp", "2.5"]),
        ([{"network": {"model": "sharp", "strength": True}}], ["strength of sharp"]),
        ([{"network": {"model": "sharp", "blend": "hard"}}], ["blend of sharp", "smooth or plain"]),
        (["crop", "deinterlace"], ["deinterlace must be the first"]),
        (["denoise", "crop"], ["crop must come before"]),
        ([{"network": {"model": "sharp"}}, "chroma_shift"], ["chroma_shift must come before networks"]),
        (["resize", {"network": {"model": "sharp"}}], ["a network must come before resize"]),
        (["grain", "denoise"], ["grain must be the last"]),
        (["grain", "resize"], ["grain must be the last"]),
        (["crop", "crop"], ["crop stands there twice"]),
        ([{"network": {"model": "sharp"}}, "denoise", {"network": {"model": "sharp"}}], ["denoise stands between two"]),
    ],
)
def test_a_chain_that_cannot_be_is_one_clear_error(chain, words):
    with pytest.raises(ConfigError) as caught:
        chain_of(chain=chain)
    for word in words:
        assert word in str(caught.value)


def test_preset_chains_keep_the_order():
    for preset in PRESETS:
        names = [step if isinstance(step, str) else next(iter(step)) for step in preset_chain(preset, "a", "b")]
        validate_order(names)
