import random

import pytest

from tapemill.enhance import NetworkStep
from tapemill.models import read_registry
from tapemill.workflow import cost_model
from tapemill.workflow.cost_model import UNKNOWN_WHISPER, Measurement, SpeedModel, whisper_speed
from tests.support.project import ROOT


def jobs(count, *, fixed_s=2.0, s_per_unit=0.1, noise=0.0, seed=1):
    randomly = random.Random(seed)
    sizes = [randomly.uniform(50, 750) for _ in range(count)]
    return [Measurement(size, (fixed_s + s_per_unit * size) * (1 + noise * randomly.uniform(-1, 1))) for size in sizes]


def test_both_parts_are_found():
    found = cost_model.fit(jobs(30), SpeedModel(99.0, 99.0))
    assert (found.fixed_s, found.s_per_unit) == (pytest.approx(2.0), pytest.approx(0.1))
    assert found.jobs == 30


def test_a_few_jobs_that_took_ten_times_as_long_do_not_matter():
    usual = jobs(30, noise=0.1)
    odd = [Measurement(job.units, 10 * job.seconds) if number % 7 == 0 else job for number, job in enumerate(usual)]
    total = sum(job.seconds for job in usual)
    found = cost_model.fit(odd, SpeedModel(1.0, 1.0))
    assert sum(found.seconds(job.units) for job in usual) == pytest.approx(total, rel=0.1)


def test_the_sum_of_many_jobs_is_met_though_most_are_below_the_mean():
    # What speech takes: most scenes have little.
    randomly = random.Random(3)
    done = [Measurement(size, 0.01 * size * randomly.lognormvariate(0, 0.35)) for size in range(20, 700, 17)]
    found = cost_model.fit(done, SpeedModel(1.0, 1.0))
    assert sum(found.seconds(job.units) for job in done) == pytest.approx(sum(job.seconds for job in done), rel=0.05)


@pytest.mark.parametrize("done", [[Measurement(100, 33.0)], [Measurement(100, 33.0)] * 10])
def test_too_few_jobs_to_fit_both_parts_scale_the_default(done):
    found = cost_model.fit(done, SpeedModel(1.0, 0.1))
    assert (found.fixed_s, found.s_per_unit) == (pytest.approx(3.0), pytest.approx(0.3))
    assert found.is_measured


def test_without_jobs_the_default_stays():
    assert cost_model.fit([], SpeedModel(1.0, 2.0)) == SpeedModel(1.0, 2.0)
    assert not SpeedModel(1.0, 2.0).is_measured


def test_times_never_fall_with_the_work_or_below_zero():
    found = cost_model.fit([Measurement(size, 10.0 - size / 100) for size in range(50, 700, 50)], SpeedModel(1.0, 1.0))
    assert found.s_per_unit == 0.0
    assert cost_model.fit(jobs(10, fixed_s=-4.0), SpeedModel(1.0, 1.0)).fixed_s == 0.0


def network(tmp_path, kind="frame", weights=5600):
    file = tmp_path / f"{kind}{weights}.safetensors"
    file.write_bytes(bytes(4 * weights))
    return NetworkStep(file.stem, kind, str(file), "0" * 64, 1)


def test_default_speeds_of_a_core_are_those_of_the_readme(tmp_path):
    fast = cost_model.default_speed("enhance_scene", on_gpu=False)
    good = cost_model.default_speed("enhance_scene", on_gpu=False, networks=[network(tmp_path)])
    assert fast.s_per_unit == pytest.approx(0.05, rel=0.1)
    assert good.s_per_unit == pytest.approx(0.23, rel=0.1)
    # 1.0 TFLOP, five hours of a card that keeps up 10 TFLOP/s, for 180,000 pictures.
    general = network(tmp_path, weights=1_210_000)
    core_s = cost_model.default_speed("enhance_scene", on_gpu=False, networks=[general]).s_per_unit
    assert core_s * cost_model.CORE_FLOPS == pytest.approx(1e12, rel=0.1)
    # "More than a year of a core" for an hour of tape.
    best = cost_model.default_speed("enhance_scene", on_gpu=False, networks=[network(tmp_path, "vrt"), general])
    assert best.seconds(180_000) > 365 * 86_400


def test_larger_models_take_longer_by_default_and_a_gpu_less_than_a_core():
    for on_gpu in (False, True):
        names = ("tiny", "small", "medium", "large-v3")
        speeds = [cost_model.default_speed("transcribe_scene", on_gpu=on_gpu, model=name) for name in names]
        assert [each.seconds(30) for each in speeds] == sorted({each.seconds(30) for each in speeds})
    small = [
        cost_model.default_speed("transcribe_scene", on_gpu=on_gpu, model="small").seconds(30)
        for on_gpu in (True, False)
    ]
    assert small[0] < small[1]
    assert cost_model.default_speed("detect_language", on_gpu=False, model="small", language_scenes=12).fixed_s > 12


def test_an_unknown_rule_has_a_default():
    assert cost_model.default_speed("what_is_to_come", on_gpu=False).seconds(0.0) > 0


SPEECH = [n for n, entry in read_registry(ROOT / "config" / "models.yaml").items() if entry["kind"] == "speech"]


@pytest.mark.parametrize("model", SPEECH)
def test_every_model_of_the_registry_has_a_default(model):
    assert whisper_speed(model, on_gpu=True) is not UNKNOWN_WHISPER.gpu or model.startswith("medium")


def test_models_are_recognised_by_name_and_by_file():
    def speed(model):
        return whisper_speed(model, on_gpu=True)

    assert speed("resources/models/small.en.pt") == speed("small")
    assert speed("large-v3-turbo") == speed("turbo") != speed("large-v3")
    assert speed("my/family.pt") == UNKNOWN_WHISPER.gpu
