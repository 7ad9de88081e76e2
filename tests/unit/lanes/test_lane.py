import pytest

from tapemill.config.schema import load_config
from tapemill.core.errors import LaneError
from tapemill.lanes import LanesSettings
from tapemill.lanes.lane import Lane, lane_of

SETTINGS = load_config({})["lanes"]


def lane(resources, environ=None, **settings):
    return lane_of(resources, LanesSettings(**{**SETTINGS, **settings}), environ or {})


def test_a_job_without_gpu_has_no_lane():
    assert lane({}) is None
    assert lane({"gpu": 0, "mem_mb": 500}) is None


def test_the_scheduler_says_which_lane_which_kind_and_whether_warm():
    given = {"gpu": 1, "gpu1": 1, "lane_device": "xpu", "lane_warm": 1, "mem_mb": 1000}
    assert lane(given) == Lane("xpu", 1, warm=True)
    assert lane(given).name == "xpu1"
    assert not lane({**given, "lane_warm": 0}).warm
    assert not lane(given, warm=False).warm


def test_gpus_beyond_nine_are_gpus():
    assert lane({"gpu": 1, "gpu12": 1, "lane_device": "cuda"}).number == 12


def test_a_job_has_one_lane():
    with pytest.raises(LaneError, match="gpu0, gpu1"):
        lane({"gpu": 1, "gpu0": 1, "gpu1": 1})


def test_an_unknown_kind_names_the_setting():
    with pytest.raises(LaneError, match="scheduler-lanes-device"):
        lane({"gpu": 1, "gpu0": 1, "lane_device": "tpu"})


def test_without_a_scheduler_the_config_says_the_kind():
    assert lane({"gpu": 1}, device="cpu") == Lane("cpu", None, warm=True, exclusive=False)
    assert lane({"gpu": 1}, device="xpu") == Lane("xpu", None, warm=True)
    assert lane({"gpu": 1}) == Lane("cpu", None, warm=True, exclusive=False)


def test_slurm_says_which_gpu_so_that_all_jobs_of_a_submission_share_a_worker():
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_STEP_GPUS": "1", "ZE_AFFINITY_MASK": "1", "CUDA_VISIBLE_DEVICES": "1"}
    assert lane({"gpu": 1}, slurm, device="xpu") == Lane("xpu", 1, warm=True)
    # Of GPUs that are not there a job of the processor has the number, as its place.
    assert lane({"gpu": 1}, slurm, device="cpu") == Lane("cpu", 1, warm=True)
    assert lane({"gpu": 1}, {"SLURM_JOB_ID": "4711"}, device="cpu") == Lane("cpu", None, warm=True, exclusive=False)
    # Two GPUs: which of them is the job's own choice.
    both = {"SLURM_JOB_ID": "4711", "ZE_AFFINITY_MASK": "0,1"}
    assert lane({"gpu": 1}, both, device="xpu") == Lane("xpu", None, warm=True)
    assert lane({"gpu": 1}, {"ZE_AFFINITY_MASK": "1"}, device="xpu") == Lane("xpu", None, warm=True)
