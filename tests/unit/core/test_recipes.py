"""Numbers of the stages' recipes: they rise with whatever the stage makes otherwise of the same input."""

import hashlib
import json

import pytest

from tapemill.core.errors import InputError
from tapemill.core.recipes import RECIPES, check_recipe, recipe_of
from tapemill.core.rule_catalog import STAGES
from tapemill.enhance.settings import PRESETS

# Filter strengths are no params of jobs: a change of them has to raise the number, and then this digest.
STRENGTHS = {3: "575a066234ec1e05"}


def test_every_stage_has_a_number():
    assert set(RECIPES) == set(STAGES)


def test_another_strength_of_a_preset_raises_the_number_of_the_stage():
    digest = hashlib.sha256(json.dumps(PRESETS, sort_keys=True).encode()).hexdigest()[:16]
    assert {RECIPES["enhance"]: digest} == STRENGTHS


def test_a_clip_also_depends_on_the_recipe_of_its_cut():
    assert recipe_of("enhance_scene", {"scenes": 7, "enhance": 8}) == [7, 8]
    assert recipe_of("transcribe_scene", {"subtitles": 5}) == 5
    assert recipe_of("mux_tape", {}) == RECIPES["tape"]
    assert recipe_of("render_tape_report") is None


@pytest.mark.parametrize(("rule", "number"), [("clean_sound", 99), ("enhance_scene", [1, 99])])
def test_a_job_of_another_recipe_than_its_tape_is_refused(rule, number):
    with pytest.raises(InputError, match="T01 was made by another recipe") as caught:
        check_recipe(rule, "T01", number)
    assert "tapemill renew T01" in str(caught.value)
    check_recipe(rule, "T01", recipe_of(rule))
    check_recipe("render_tape_report", "T01", 99)
