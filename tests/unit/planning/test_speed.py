import random

import pytest

from tapemill.enhance import NetworkStep
from tapemill.planning import speed
from tapemill.planning.speed import Pace, Sample


def jobs(count, *, fixed_s=2.0, s_per_unit=0.1, noise=0.0, seed=1):
    randomly = random.Random(seed)
    sizes = [randomly.uniform(50, 750) for _ in range(count)]
    return [Sample(size, (fixed_s + s_per_unit * size) * (1 + noise * randomly.uniform(-1, 1))) for size in sizes]


def test_both_parts_are_found():
    found = speed.fitted(jobs(30), Pace(99.0, 99.0))
    assert (found.fixed_s, found.s_per_unit) == (pytest.approx(2.0), pytest.approx(0.1))
    assert found.jobs == 30


def test_a_few_jobs_that_took_ten_times_as_long_do_not_matter():
    usual = jobs(30, noise=0.1)
    odd = [Sample(job.units, 10 * job.seconds) if number % 7 == 0 else job for number, job in enumerate(usual)]
    total = sum(job.seconds for job in usual)
    found = speed.fitted(odd, Pace(1.0, 1.0))
    assert sum(found.seconds(job.units) for job in usual) == pytest.approx(total, rel=0.1)


def test_the_sum_of_many_jobs_is_met_though_most_are_below_the_mean():
    # What speech takes: most scenes have little.
    randomly = random.Random(3)
    done = [Sample(size, 0.01 * size * randomly.lognormvariate(0, 0.35)) for size in range(20, 700, 17)]
    found = speed.fitted(done, Pace(1.0, 1.0))
    assert sum(found.seconds(job.units) for job in done) == pytest.approx(sum(job.seconds for job in done), rel=0.05)


@pytest.mark.parametrize("done", [[Sample(100, 33.0)], [Sample(100, 33.0)] * 10])
def test_too_little_to_tell_the_parts_apart_scales_what_is_stated(done):
    found = speed.fitted(done, Pace(1.0, 0.1))
    assert (found.fixed_s, found.s_per_unit) == (pytest.approx(3.0), pytest.approx(0.3))
    assert found.is_measured


def test_without_jobs_the_stated_pace_stays():
    assert speed.fitted([], Pace(1.0, 2.0)) == Pace(1.0, 2.0)
    assert not Pace(1.0, 2.0).is_measured


def test_times_never_fall_with_the_work_or_below_zero():
    found = speed.fitted([Sample(size, 10.0 - size / 100) for size in range(50, 700, 50)], Pace(1.0, 1.0))
    assert found.s_per_unit == 0.0
    assert speed.fitted(jobs(10, fixed_s=-4.0), Pace(1.0, 1.0)).fixed_s == 0.0


def network(tmp_path, kind="frame", weights=5600):
    file = tmp_path / f"{kind}{weights}.safetensors"
    file.write_bytes(bytes(4 * weights))
    return NetworkStep(file.stem, kind, str(file), "0" * 64, 1)


def test_stated_figures_for_a_core_are_those_of_the_readme(tmp_path):
    fast = speed.stated("enhance_scene", on_card=False)
    good = speed.stated("enhance_scene", on_card=False, networks=[network(tmp_path)])
    assert fast.s_per_unit == pytest.approx(0.05, rel=0.1)
    assert good.s_per_unit == pytest.approx(0.23, rel=0.1)
    # 1.0 TFLOP, five hours of a card that keeps up 10 TFLOP/s, for 180,000 pictures.
    general = network(tmp_path, weights=1_210_000)
    core_s = speed.stated("enhance_scene", on_card=False, networks=[general]).s_per_unit
    assert core_s * speed.CORE_FLOPS == pytest.approx(1e12, rel=0.1)
    # "More than a year of a core" for an hour of tape.
    best = speed.stated("enhance_scene", on_card=False, networks=[network(tmp_path, "vrt"), general])
    assert best.seconds(180_000) > 365 * 86_400


def test_larger_models_are_stated_to_take_longer_and_a_card_less_than_a_core():
    for on_card in (False, True):
        names = ("tiny", "small", "medium", "large-v3")
        paces = [speed.stated("transcribe_scene", on_card=on_card, model=name) for name in names]
        assert [each.seconds(30) for each in paces] == sorted({each.seconds(30) for each in paces})
    small = [speed.stated("transcribe_scene", on_card=on_card, model="small").seconds(30) for on_card in (True, False)]
    assert small[0] < small[1]
    assert speed.stated("detect_language", on_card=False, model="small", language_scenes=12).fixed_s > 12


def test_a_rule_nobody_has_a_figure_for_has_one_all_the_same():
    assert speed.stated("what_is_to_come", on_card=False).seconds(0.0) > 0
