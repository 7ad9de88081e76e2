import itertools

import pytest

from tapemill.planning.simulation import CORES, JOB_GAP_S, REPLANNING_S, START_S, TimedTask, simulate
from tapemill.planning.tasks import Task

LANES = {"gpu0": 1, "gpu1": 1}


def job(rule, scene="", seconds=10.0, *, after=(), card=False, threads=1):
    task = Task(rule, "stage", "T", scene, 0.0, after=tuple((name, "T", which) for name, which in after))
    return TimedTask(task, seconds, card, threads)


def scenes(count, seconds=10.0, *, card=True):
    for number in range(count):
        id = f"{number:07d}"
        yield job("cut_scene", id, 1.0)
        yield job("enhance_scene", id, seconds, after=[("cut_scene", id)], card=card)


def run(jobs, *, cores=4, lanes=None, cut_ahead=16):
    return simulate(list(jobs), cores=cores, lanes=lanes or {}, cut_ahead=cut_ahead)


def about(seconds, jobs=1):
    """With what Snakemake takes at the start, and from job to job."""
    return pytest.approx(START_S + seconds + jobs * JOB_GAP_S, abs=0.5)


def test_cores_share_the_work():
    work = [job("clean_sound", str(number)) for number in range(8)]
    assert run(work, cores=1).total_s == about(80, 8)
    assert run(work, cores=4).total_s == about(20, 2)
    assert run(work, cores=4).busy_s == {CORES: 80}


def test_jobs_of_several_threads_take_several_cores_but_never_more_than_there_are():
    work = [job("enhance_scene", str(number), threads=2) for number in range(4)]
    assert run(work, cores=4).total_s == about(20, 2)
    assert run(work, cores=1).total_s == about(40, 4)


def test_what_waits_for_others_comes_after_them():
    chain = [
        job("mux_tape", seconds=1, after=[("join_subtitles", ""), ("enhance_scene", "a")]),
        job("enhance_scene", "a", 20, after=[("detect_scenes", "")]),
        job("join_subtitles", seconds=2, after=[("detect_scenes", "")]),
        job("detect_scenes", seconds=5, after=[("probe_capture", "")]),
    ]
    outcome = run(chain)
    # The probe is not among what is to do, so nobody waits for it.
    assert outcome.total_s == about(5 + REPLANNING_S + 20 + 1, 3)
    assert outcome.ends_s["join_subtitles", "T", ""] == about(5 + REPLANNING_S + 2, 2)
    assert len(outcome.ends_s) == len(chain)


def test_two_lanes_halve_what_asks_for_a_card_and_cores_do_the_rest():
    one, two = (run(scenes(20), lanes=dict(itertools.islice(LANES.items(), count))) for count in (1, 2))
    assert one.total_s == about(201, 21)
    assert two.total_s == about(101, 11)
    assert set(two.busy_s) == {"gpu0", "gpu1", CORES}
    assert two.busy_s["gpu0"] == pytest.approx(two.busy_s["gpu1"], rel=0.11)
    # Without lanes the same jobs need cores.
    assert run(scenes(20), cores=4).total_s < two.total_s


def test_a_job_that_waits_at_the_lane_hides_the_time_between_jobs():
    short = list(scenes(100, 0.3))
    hidden, not_hidden = (run(short, lanes={"gpu0": capacity}).total_s for capacity in (2, 1))
    assert not_hidden - hidden > 90 * (JOB_GAP_S - 0.1)


def test_the_longest_job_is_not_left_for_the_end():
    work = [job("transcribe_scene", str(number), 5, card=True) for number in range(8)]
    work.append(job("transcribe_scene", "long", 20, card=True))
    assert run(work, lanes=LANES).total_s == about(30, 6)


def test_cutting_does_not_run_ahead():
    """All cuts at once would be done after a few seconds."""
    free, held = (run(scenes(40, 10), cores=8, lanes=LANES, cut_ahead=ahead) for ahead in (1000, 2))
    last_cut = ("cut_scene", "T", "0000039")
    assert free.ends_s[last_cut] < 20
    assert held.ends_s[last_cut] > 150
    assert held.total_s == pytest.approx(free.total_s, rel=0.1)


def test_cuts_that_nobody_waits_for_are_made_all_the_same():
    assert len(run([job("cut_scene", str(number), 1) for number in range(10)], cut_ahead=2).ends_s) == 10
