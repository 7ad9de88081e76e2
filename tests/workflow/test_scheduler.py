"""The scheduler `lanes` in real runs of Snakemake. Jobs are stand-ins that sleep and write down where they ran."""

import json
import logging
import os
import subprocess
import sys
import threading
import types
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest
import yaml
from snakemake.resources import Resource
from snakemake.scheduling import greedy
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_scheduler_plugins.tests import DummyDAG, DummyJob, TestSchedulerBase

from snakemake_scheduler_plugin_lanes import Scheduler, SchedulerSettings
from tapemill.core.errors import LaneError
from tests.support.project import ROOT

# Of a job: params.sleep_s; params.fails, how many attempts fail at once; its output names it.
STAND_IN = """
import json, os, sys, time
from pathlib import Path

target = Path(snakemake.output[0])
tries = Path(f".tries-{target.name}")
attempt = int(tries.read_text()) + 1 if tries.exists() else 1
tries.write_text(str(attempt))
fails = attempt <= snakemake.params.get("fails", 0)
start = time.monotonic()
time.sleep(0.05 if fails else snakemake.params.get("sleep_s", 0.1))
event = {
    "job": target.name, "rule": snakemake.rule, "attempt": attempt, "start": start, "stop": time.monotonic(),
    "resources": {name: snakemake.resources[name] for name in snakemake.resources.keys()},
}
line = os.open("events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(line, (json.dumps(event) + "\\n").encode())
if fails:
    sys.exit(75)
target.write_text("")
"""


@dataclass(frozen=True)
class Event:
    """One attempt of a job. Times are seconds of the machine's monotonic clock."""

    job: str
    rule: str
    attempt: int
    start: float
    stop: float
    resources: dict

    @property
    def lanes(self):
        return [name for name in self.resources if name.startswith("gpu") and name != "gpu"]

    @property
    def lane(self):
        (lane,) = self.lanes
        return lane

    @property
    def expected_s(self):
        return self.resources["expected_s"]


def run(folder, snakefile, *arguments, exit_code=0, cores=4):
    """Run Snakemake in the folder; every attempt in order of its start, and what was printed.

    It has to end with the exit code; None for any.
    """
    (folder / "Snakefile").write_text(snakefile)
    (folder / "stand_in.py").write_text(STAND_IN)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", str(cores), "--scheduler", "lanes", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=False,
    )
    assert exit_code in (None, done.returncode), done.stdout
    written = folder / "events.jsonl"
    lines = written.read_text().splitlines() if written.exists() else []
    return sorted((Event(**json.loads(line)) for line in lines), key=lambda event: event.start), done.stdout


def rule(name, outputs, *, gpu=True, resources="", **slots):
    """Source of one rule: a stand-in for each output."""
    asked = ([f"gpu=1, expected_s=lambda wildcards: int(EXPECTED.get('{name}-' + wildcards.i, 1))"] if gpu else []) + (
        [resources] if resources else []
    )
    lines = [f"rule {name}:", f"    output: '{name}-{{i}}'"]
    lines += [f"    {slot}: {value}" for slot, value in slots.items() if slot != "params"]
    lines += [f"    resources: {', '.join(asked)}"] if asked else []
    lines += [f"    params: {slots['params']}"] if "params" in slots else []
    return "\n".join([*lines, "    script: 'stand_in.py'", ""])


def workflow(*rules, targets, expected=None):
    """Source of a Snakefile; `expected`: seconds that jobs say they take, by output."""
    return "\n".join([f"EXPECTED = {expected or {}}", f"rule all:\n    input: {targets}", *rules])


def names(name, count):
    return [f"{name}-{i}" for i in range(count)]


def at_once(events):
    """The largest number of events that overlap."""
    return max(sum(other.start <= event.start < other.stop for other in events) for event in events)


def by_lane(events):
    lanes = defaultdict(list)
    for event in events:
        lanes[event.lane].append(event)
    return lanes


def test_a_job_that_failed_rests_while_others_have_its_lane(tmp_path):
    # That long rests what leaves no note of why it failed.
    begin = (
        "from pathlib import Path\nfrom tapemill.jobs import retry as retrying\n"
        "from tapemill.process import run_lock as runlock\nretrying.LOG_READ_S = 10.0\n"
        "onstart:\n    runlock.acquire(Path('.snakemake')); retrying.install_retry_policy(workflow.scheduler)\n"
    )
    expected = {"first-0": 100, "later-0": 1}
    first = rule("first", 1, params="fails=1", log="'logs/{i}.log'", retries=1)
    source = workflow(
        begin, first, rule("later", 1, params="sleep_s=0.1"), targets=["first-0", "later-0"], expected=expected
    )
    events, _ = run(tmp_path, source, "--resources", "gpu0=1")
    assert [event.job for event in events] == ["first-0", "later-0", "first-0"]


def test_each_gpu_job_has_a_lane_to_itself_and_neither_kind_of_job_starves(tmp_path):
    """Two lanes and a core more, a checkpoint that makes the jobs anew while others run."""
    expected = {f"speak-{i}": 1 + i * 7 % 10 for i in range(10)}
    checkpoint = (
        "checkpoint split:\n    output: 'split'\n    script: 'stand_in.py'\n"
        "rule join:\n    input: lambda wildcards: checkpoints.split.get() and ['late-0', 'late-1']\n"
        "    output: 'join'\n    script: 'stand_in.py'\n"
    )
    source = workflow(
        rule("speak", 10, params="sleep_s=0.15"),
        rule("late", 2, params="sleep_s=0.1"),
        rule("cut", 6, gpu=False, params="sleep_s=0.15"),
        checkpoint,
        targets=[*names("speak", 10), *names("cut", 6), "join"],
        expected=expected,
    )
    events, output = run(tmp_path, source, "--resources", "gpu0=1", "gpu1=1", cores=3)
    assert Counter(event.rule for event in events) == {"speak": 10, "late": 2, "cut": 6, "split": 1, "join": 1}

    gpu = [event for event in events if event.rule in ("speak", "late")]
    assert all(event.resources["lane_device"] == "cpu" and event.resources["lane_warm"] == 1 for event in gpu)
    lanes = by_lane(gpu)
    assert set(lanes) == {"gpu0", "gpu1"}
    assert all(at_once(here) == 1 for here in lanes.values())
    for here in lanes.values():
        spoken = [event.expected_s for event in here if event.rule == "speak"]
        assert spoken == sorted(spoken, reverse=True)  # each took the longest that was left
    assert "gpu1=1, lane_device=cpu, lane_warm=1" in output

    cut = [event for event in events if event.rule == "cut"]
    assert not any(event.lanes or "lane_device" in event.resources for event in cut)
    assert cut[0].start < gpu[-1].start
    assert gpu[0].start < cut[-1].start


def test_a_second_job_is_put_behind_short_jobs_only(tmp_path):
    source = workflow(
        rule("speak", 7, params="sleep_s=lambda wildcards: 1.2 if wildcards.i == '0' else 0.3"),
        targets=names("speak", 7),
        expected={"speak-0": 100},
    )
    events, _ = run(tmp_path, source, "--resources", "gpu0=2", "gpu1=2", cores=6)
    long = next(event for event in events if event.job == "speak-0")
    assert not [event for event in events if event.lane == long.lane and long.start < event.start < long.stop]
    busy = [event for event in events if event.lane != long.lane]
    assert at_once(busy) == 2
    assert len(events) == 7


def test_failed_jobs_take_the_other_gpu_and_one_that_always_fails_holds_none(tmp_path):
    """Settings come from a profile here. Of 20 jobs one fails once; one more never gets well."""
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text(
        "keep-going: true\nscheduler: lanes\nscheduler-lanes-device: cpu\nscheduler-lanes-cold: true\n"
        "scheduler-lanes-greediness: 0.5\nresources:\n  gpu0: 1\n  gpu1: 1\n"
    )
    source = workflow(
        rule("speak", 20, retries=2, params="fails=lambda wildcards: {'3': 1, '4': 9}.get(wildcards.i, 0)"),
        targets=names("speak", 20),
        expected={"speak-3": 50, "speak-4": 40},
    )
    events, _ = run(tmp_path, source, "--profile", "profile", exit_code=1)
    attempts = Counter(event.job for event in events)
    assert attempts == Counter(dict.fromkeys(names("speak", 20), 1) | {"speak-3": 2, "speak-4": 3})
    for name in ("speak-3", "speak-4"):
        first, second = [event.lane for event in events if event.job == name][:2]
        assert first != second
    assert {event.resources["lane_warm"] for event in events} == {0}
    assert all(at_once(here) == 1 for here in by_lane(events).values())
    # The lane where it failed for good went on working.
    last = events[[event.job for event in events].index("speak-4") :]
    assert {event.lane for event in last} == {"gpu0", "gpu1"}
    assert all((tmp_path / name).exists() for name in names("speak", 20) if name != "speak-4")


def test_a_retry_does_not_wait_for_a_better_gpu_if_its_own_is_idle(tmp_path):
    source = workflow(
        rule("speak", 2, retries=1, params="fails=lambda w: int(w.i == '0'), sleep_s=lambda w: 0.1 + 1.2 * int(w.i)"),
        targets=names("speak", 2),
        expected={"speak-0": 10, "speak-1": 100},
    )
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "gpu1=1")
    again = next(event for event in events if event.attempt == 2)
    long = next(event for event in events if event.job == "speak-1")
    assert again.start < long.stop
    assert again.lane != long.lane


def test_input_size_decides_between_jobs_of_the_same_expected_time(tmp_path):
    for i in range(4):
        (tmp_path / f"sound-{i}").write_bytes(bytes(i + 1))
    source = workflow(rule("speak", 4, input="'sound-{i}'"), targets=names("speak", 4))
    events, _ = run(tmp_path, source, "--resources", "gpu0=1")
    assert [event.job for event in events] == names("speak", 4)[::-1]


def test_a_removed_lane_is_never_used_and_a_capped_rule_keeps_to_its_lanes(tmp_path):
    source = workflow(
        rule("enhance", 6, resources="max_lanes=1", params="sleep_s=0.2"),
        rule("speak", 4, params="sleep_s=0.2"),
        targets=[*names("enhance", 6), *names("speak", 4)],
        expected=dict.fromkeys(names("enhance", 6), 60),
    )
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "gpu1=0", "gpu2=1", cores=4)
    assert len(events) == 10
    assert set(by_lane(events)) == {"gpu0", "gpu2"}
    assert at_once([event for event in events if event.rule == "enhance"]) == 1
    # Both lanes are used, so never more; whether two short jobs really meet is up to the machine.
    assert at_once(events) <= 2


def test_a_gpu_taken_away_on_the_command_line_leaves_the_profiles_others(tmp_path):
    (tmp_path / "three").mkdir()
    profile = {"resources": {"gpu0": 1, "gpu1": 1, "gpu2": 1}, "scheduler-lanes-device": "cpu"}
    (tmp_path / "three" / "config.yaml").write_text(yaml.safe_dump(profile))
    source = workflow(rule("speak", 6, params="sleep_s=0.2"), targets=names("speak", 6))
    events, _ = run(tmp_path, source, "--profile", "three", "--resources", "gpu1=0")
    assert set(by_lane(events)) == {"gpu0", "gpu2"}


def test_a_job_with_many_threads_is_not_kept_from_its_gpu_by_small_jobs_without_one(tmp_path):
    source = workflow(
        rule("wide", 1, threads=3, input="'first'"),
        rule("cut", 16, gpu=False, params="sleep_s=0.1"),
        "rule first:\n    output: 'first'\n    priority: 9\n    script: 'stand_in.py'\n",
        targets=[*names("cut", 16), "wide-0"],
    )
    events, _ = run(tmp_path, source, "--resources", "gpu0=2")
    order = [event.rule for event in events]
    assert Counter(order[order.index("wide") :])["cut"] >= 4


def test_without_lanes_jobs_run_on_the_processor_and_gpu_itself_is_respected(tmp_path):
    source = workflow(rule("speak", 3), targets=names("speak", 3))
    events, _ = run(tmp_path, source, "--resources", "gpu=1", "gpu1=0")
    assert len(events) == 3
    assert not any(event.lanes or "lane_device" in event.resources for event in events)
    assert at_once(events) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scheduler-lanes-device", "zpu"], ["--scheduler-lanes-device", "'zpu'", "cpu, xpu, cuda, hip"]),
        (["--scheduler-lanes-device", "xpu"], ["speak", "kind xpu", "--resources gpu0=2", "profiles/cpu"]),
        (["--scheduler-lanes-device", "xpu", "--resources", "gpu1=0"], ["only removed: gpu1", "--resources gpu0=2"]),
    ],
)
def test_what_cannot_be_is_said_at_once(tmp_path, arguments, told):
    # The GPU is needed later only; to find out then would waste the hours before.
    source = workflow(
        rule("speak", 1, input="'first'"),
        "rule first:\n    output: 'first'\n    script: 'stand_in.py'\n",
        targets=["speak-0"],
    )
    events, output = run(tmp_path, source, *arguments, exit_code=1)
    assert not events
    for words in told:
        assert words in output


def test_jobs_without_gpu_need_none(tmp_path):
    source = workflow(
        rule("cut", 1, gpu=False), rule("soft", 1, gpu=False, resources="gpu=0"), targets=["cut-0", "soft-0"]
    )
    events, _ = run(tmp_path, source, "--scheduler-lanes-device", "xpu", "--resources", "gpu0=1")
    assert len(events) == 2
    assert not any(event.lanes for event in events)


class TestAsAPlugin(TestSchedulerBase):
    """What the interface asks of every scheduler."""

    __test__ = True

    def get_scheduler_cls(self):
        return Scheduler

    def get_scheduler_settings(self):
        return SchedulerSettings()


GUARD = """
onstart:
    from snakemake_scheduler_plugin_lanes.jobs import remove_lane
    job = next(job for job in workflow.dag.needrun_jobs() if job.rule.name == "speak")
    for name, value in {"gpu0": 1, "lane_device": "cpu", "lane_warm": 1, "other": 5, "expected_s": 7}.items():
        job.add_aux_resource(name, value)
    assert {"gpu0", "lane_device", "lane_warm"} <= set(job.resources.keys()) & set(job.scheduler_resources), "added"
    remove_lane(job)
    assert not {"gpu0", "lane_device", "lane_warm"} & set(job.resources.keys()), "taken off the job"
    assert not {"gpu0", "lane_device", "lane_warm"} & set(job.scheduler_resources), "taken off the accounting"
    assert job.scheduler_resources["other"] == 5, "what others added stays"
    assert job.scheduler_resources["expected_s"] == 1, "what the rule says is never replaced"
    job.add_aux_resource("gpu0", 1)
    assert job.scheduler_resources["gpu0"] == 1, "added again"
"""


def test_what_is_added_to_a_job_can_be_taken_off_again(tmp_path):
    """There is no public call for that: the plugin reaches into Snakemake's own jobs."""
    _, output = run(tmp_path, workflow(GUARD, rule("speak", 1), targets=["speak-0"]), exit_code=None)
    assert "Finished jobid: 0 (Rule: all)" in output, (
        f"{output}\nThis Snakemake keeps what Job.add_aux_resource adds in another way. What to do: read the class Job "
        "in snakemake/jobs.py, and let snakemake_scheduler_plugin_lanes.jobs.remove_lane take it off there, or call "
        "Snakemake's own function for it if there is one by now."
    )


def test_greedy_settings_are_those_of_the_greedy_scheduler():
    own = {field for field in SchedulerSettings.__dataclass_fields__ if field not in ("device", "cold")}
    assert own == set(greedy.SchedulerSettings.__dataclass_fields__)
    assert SchedulerSettings() == SchedulerSettings(device="cpu", cold=False, greediness=1.0)
    with pytest.raises(ValueError, match="greediness"):
        SchedulerSettings(greediness=2)


class GpuJob(DummyJob):
    """A ready job as the interface describes it, with the rule that Snakemake's jobs have."""

    def __init__(self, name, gpu=1):
        resources = {"_cores": 1} | ({"gpu": gpu} if gpu else {})
        super().__init__([], [name], resources)
        declared = {"gpu": Resource("gpu", gpu)} if gpu else {}
        self.rule = types.SimpleNamespace(name=name.partition("-")[0], resources=declared)


@pytest.fixture
def gpus(monkeypatch):
    """Stands for tapemill.lanes.gpu_registry: which question it was asked, and what it answers."""
    module = types.ModuleType("tapemill.lanes.gpu_registry")
    module.asked, module.answer, module.known = [], None, threading.Event()

    def check_lanes(kind, numbers):
        module.asked.append((kind, numbers))
        assert module.known.wait(30)
        if module.answer:
            raise module.answer

    module.check_lanes = check_lanes
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def select(scheduler, ready, remaining=(), lanes=2):
    free = {"_cores": 4} | {f"gpu{number}": 1 for number in range(lanes)}
    return scheduler.select_jobs(ready, [*ready, *remaining], free, {})


def scheduler(device):
    return Scheduler(DummyDAG(), settings=SchedulerSettings(device=device), logger=logging.getLogger("test"))


def test_gpus_are_looked_for_once_and_before_the_first_job_gets_one(gpus):
    lanes = scheduler("xpu")
    cut, speak = GpuJob("cut-0", gpu=0), GpuJob("speak-0")
    assert select(lanes, [cut]) == [cut]
    assert gpus.asked == []
    assert select(lanes, [GpuJob("cut-1", gpu=0)], [speak])  # not held up
    gpus.known.set()
    assert select(lanes, [speak]) == [speak]
    assert speak.scheduler_resources == {"_cores": 1, "gpu": 1, "gpu0": 1, "lane_device": "xpu", "lane_warm": 1}
    assert select(lanes, [GpuJob("speak-1")])
    assert gpus.asked == [("xpu", [0, 1])]


def test_a_missing_gpu_stops_the_run_before_a_job_gets_it(gpus):
    gpus.answer = LaneError("the profile declares gpu1, but there is one GPU", remedy="--resources gpu0=2")
    speak = GpuJob("speak-0")
    threading.Timer(0.2, gpus.known.set).start()
    with pytest.raises(WorkflowError, match=r"declares gpu1.*\n.*what to do"):
        select(scheduler("cuda"), [speak])
    assert speak.scheduler_resources == {"_cores": 1, "gpu": 1}


def test_a_gpu_that_is_known_to_be_missing_stops_the_run_while_none_is_needed_yet(gpus):
    gpus.answer = LaneError("no GPU at all")
    lanes = scheduler("xpu")
    assert select(lanes, [GpuJob("cut-0", gpu=0)], [GpuJob("speak-0")])
    gpus.known.set()
    lanes._check._outcome.exception(30)
    with pytest.raises(WorkflowError, match="no GPU at all"):
        select(lanes, [GpuJob("cut-1", gpu=0)], [GpuJob("speak-0")])


def test_nobody_looks_for_gpus_of_kind_cpu(gpus):
    assert select(scheduler("cpu"), [GpuJob("speak-0")])
    assert gpus.asked == []


def test_every_start_of_snakemake_stays_light():
    code = (
        "import sys, snakemake.cli; before = set(sys.modules); import snakemake_scheduler_plugin_lanes;"
        "print(sorted({name for name in set(sys.modules) - before if '.' not in name} - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['snakemake_scheduler_plugin_lanes', 'tapemill']"
