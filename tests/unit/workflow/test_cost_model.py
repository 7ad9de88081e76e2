import pytest

from tapemill.models import read_registry
from tapemill.workflow.cost_model import UNKNOWN_MODEL, expected_s, speech_pace
from tests.support.project import ROOT


def test_longer_scenes_and_larger_models_are_expected_to_take_longer():
    scene = [expected_s("speech", video_s=seconds, model="small") for seconds in (1, 10, 30)]
    assert scene == sorted(scene)
    assert scene[0] < scene[-1]
    models = [expected_s("speech", video_s=30, model=model) for model in ("tiny", "small", "medium", "large-v3")]
    assert models == sorted(set(models))


def test_every_time_is_a_whole_number_of_seconds_above_zero():
    for stage in ("language", "speech", "encoder", "picture"):
        for video_s in (0, 0.04, 29.97):
            expected = expected_s(stage, video_s=video_s, model="tiny")
            assert isinstance(expected, int)
            assert expected >= 1


SPEECH = [n for n, entry in read_registry(ROOT / "config" / "models.yaml").items() if entry["kind"] == "speech"]


@pytest.mark.parametrize("model", SPEECH)
def test_every_model_that_can_be_named_has_a_pace(model):
    assert speech_pace(model) is not UNKNOWN_MODEL or model.startswith("medium")


def test_names_and_files_are_told_apart_rightly():
    assert speech_pace("resources/models/small.en.pt") == speech_pace("small")
    assert speech_pace("large-v3-turbo") == speech_pace("turbo") != speech_pace("large-v3")
    assert speech_pace("my/family.pt") == UNKNOWN_MODEL
