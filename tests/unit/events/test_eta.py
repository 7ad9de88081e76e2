from datetime import timedelta

import pytest

from tapemill.events.eta import estimate_eta
from tapemill.events.run_state import RunState
from tests.support.event_script import RUN, START, Script


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Script(tmp_path)


def at(seconds):
    run_state = RunState(RUN)
    run_state.update()
    return estimate_eta(run_state, START + timedelta(seconds=seconds))


def test_nothing_is_known_before_anything_is_measured(script):
    script.begin({"T01": {"cut_scene": 4}})
    ahead = at(10)
    assert ahead.left_s is None
    assert ahead.stages["scenes"].left_s is None
    assert ahead.rules_without_speed == ("cut_scene",)


def test_what_is_to_do_takes_as_long_as_what_is_done(script):
    script.begin({"T01": {"cut_scene": 6}})
    for number in range(2):
        script.job(0, 20, "cut_scene", scene=f"{number}", frames=100)
    # Two at a time: four more take twice twenty seconds.
    ahead = at(20)
    assert ahead.left_s == pytest.approx(40)
    assert ahead.stages["scenes"].left_s == pytest.approx(40)
    assert ahead.stages["scenes"].frames_per_s == pytest.approx(10)
    assert ahead.tapes == {"T01": pytest.approx(40)}


def test_before_a_job_is_done_the_cost_model_of_the_plan_counts(script):
    script.begin({"T01": {"cut_scene": 2, "mux_tape": 1}}, expected_s={"T01": {"cut_scene": 40.0, "mux_tape": 7.0}})
    script.job(0, None, "cut_scene", scene="0")
    assert at(5).left_s == pytest.approx(15 + 20 + 7)
    assert at(5).rules_without_speed == ()


def test_times_of_this_run_replace_those_of_the_cost_model(script):
    script.begin({"T01": {"cut_scene": 3, "mux_tape": 1}}, expected_s={"T01": {"cut_scene": 60.0, "mux_tape": 7.0}})
    script.job(0, 10, "cut_scene", scene="0")
    assert at(10).left_s == pytest.approx(2 * 10 + 7)


def test_idle_time_is_no_time_of_work(script):
    script.begin({"T01": {"cut_scene": 3}})
    script.job(0, 10, "cut_scene", scene="0", frames=100)
    script.job(100, 110, "cut_scene", scene="1", frames=100)
    ahead = at(110)
    assert ahead.left_s == pytest.approx(10)
    assert ahead.stages["scenes"].frames_per_s == pytest.approx(10)


def test_running_jobs_are_believed_and_time_goes_on_meanwhile(script):
    script.begin({"T01": {"cut_scene": 1, "enhance_scene": 2}})
    script.job(0, 10, "cut_scene", scene="0")
    job = script.job(10, None, "enhance_scene", scene="0", lane="gpu0")
    script.write(40, "job_progress", **job, frames=30, total_frames=100, frames_per_s=1.0, remaining_s=70.0)
    script.job(10, 50, "enhance_scene", scene="1", lane="gpu1")
    assert at(60).stages["enhance"].left_s == pytest.approx(50 / (90 / 50))


def test_a_running_job_that_tells_nothing_takes_what_others_took(script):
    script.begin({"T01": {"cut_scene": 2}})
    script.job(0, 30, "cut_scene", scene="0")
    script.job(30, None, "cut_scene", scene="1")
    assert at(40).left_s == pytest.approx(20)
    # It takes longer than the other one did: about to end, for all that is known; later nothing is.
    assert at(90).left_s == 0
    assert at(91).rules_without_speed == ("cut_scene",)


def test_a_job_that_waits_at_its_lane_has_all_its_work_before_it(script):
    script.begin({"T01": {"enhance_scene": 3}})
    script.job(0, 30, "enhance_scene", scene="0", lane="cpu0")
    script.job(30, None, "enhance_scene", scene="1", lane="cpu0")
    script.job(30, None, "enhance_scene", scene="2", lane="cpu0", waits=True)
    assert at(40).left_s == pytest.approx(20 + 30)


def test_rules_without_a_measured_job_are_named_and_not_guessed(script):
    script.begin({"T01": {"cut_scene": 2, "mux_tape": 1}})
    script.job(0, 10, "cut_scene", scene="0")
    ahead = at(10)
    assert ahead.left_s == pytest.approx(10)
    assert ahead.rules_without_speed == ("mux_tape",)
    assert ahead.stages["tape"].left_s is None
    assert ahead.tapes["T01"] is None


def test_before_a_tape_is_divided_nobody_knows_how_much_there_is_to_do(script):
    script.begin({"T01": {"cut_scene": 2}, "T02": {"detect_scenes": 1, "mux_tape": 1}})
    script.job(0, 10, "cut_scene", "T01", "0")
    ahead = at(10)
    assert ahead.left_s is None
    assert ahead.tapes_without_plan == ("T02",)
    assert ahead.tapes["T01"] == pytest.approx(10)
    script.job(10, 20, "detect_scenes", "T02")
    assert at(20).tapes_without_plan == ()


def test_the_run_does_not_end_before_its_slowest_stage(script):
    script.begin({"T01": {"enhance_scene": 3, "cut_scene": 8}})
    script.job(0, 100, "enhance_scene", scene="0")
    for number in range(8):
        script.job(0, 100, "cut_scene", scene=f"{number}")
    # One at a time is enhanced, whatever else went on beside it.
    assert at(100).left_s == pytest.approx(200)


def test_when_all_is_done_nothing_is_left(script):
    script.begin({"T01": {"detect_scenes": 1, "cut_scene": 1}})
    script.job(0, 10, "detect_scenes")
    script.job(10, 20, "cut_scene", scene="0")
    ahead = at(20)
    assert (ahead.left_s, ahead.stages["scenes"].left_s, ahead.tapes) == (0, 0, {"T01": 0})
