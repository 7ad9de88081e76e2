"""Groups of scenes, submitted to a cluster that is not there: what Snakemake does with them, with and without help."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.support.polling import wait_for
from tests.support.project import ROOT

PLUGINS = ROOT / "tests" / "plugins"
SCENES = [f"{number:07}" for number in range(6)]
# Of a job: params.fails, how many attempts fail, and params.error, of what, until there is a file `mended`;
# params.waits, a file without which it waits.
SCRIPT = """
import os, signal, time
from pathlib import Path
from tapemill.core import errors
from tapemill.storage import atomic as files
from tapemill.jobs import entrypoint as script

def main(job):
    with Path("did").open("a") as did:
        did.write(f"{job.rule} {job.wildcards.scene}\\n")
    tries = Path("tries") / f"{job.rule}-{job.wildcards.scene}"
    tries.parent.mkdir(exist_ok=True)
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    while job.params.get("waits") and not Path(job.params.waits).exists():
        time.sleep(0.05)
    if len(tries.read_text()) <= job.params.get("fails", 0) and not Path("mended").exists():
        if job.params.error == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        raise getattr(errors, job.params.error)("told so", remedy="nothing")
    for output in job.output:
        with files.staged(Path(output)) as partial:
            partial.write_text(job.wildcards.scene)
    if job.rule == "clip" and job.params.get("uses", True):
        Path(job.input[0]).unlink()

script.run_job(main, snakemake)
"""
SNAKEFILE = """
from types import SimpleNamespace
from tapemill import cluster as groups
from tapemill.jobs import attempt_store as attempts
from tapemill.process import heartbeat
from tapemill.process import liveness as lifeline
from tapemill.jobs import retry as retrying
from tapemill.process import run_lock as runlock
from tapemill.cluster.batching import GroupName

retrying.BACKOFF_S = (0.1,)
{prepare}

def half(wildcards):
    number = 1 + int(wildcards.scene) // 3
    return None if workflow.local_exec else GroupName(f"T01-picture-{{number:03}}")

onstart:
    runlock.acquire(Path(".snakemake"))
    retrying.install_retry_policy(workflow.scheduler)
    if workflow.non_local_exec:
        heartbeat.start(lifeline.own_run().id)
        {begin}

rule all:
    input: expand("clips/{{scene}}", scene={scenes})

rule cut:
    output: {temp}("cuts/{{scene}}")
    log: "logs/cut/T01/{{scene}}.log"
    group: half
    threads: 1
    resources: runtime=2, mem_mb=100
    params: {cut}
    script: "script.py"

rule clip:
    input: "cuts/{{scene}}"
    output: {update}("clips/{{scene}}")
    log: "logs/clip/T01/{{scene}}.log"
    group: half
    threads: 2
    resources: gpu=lambda wildcards: int(wildcards.scene != '{waiting}'), runtime=10, mem_mb=300
    params: {clip}
    script: "script.py"
"""
PREPARE, BEGIN = "groups.at_parse(workflow)", "groups.at_start(workflow)"


class Cluster:
    """A working folder whose jobs are submitted."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "script.py").write_text(SCRIPT)

    def workflow(self, *, prepare=PREPARE, begin=BEGIN, scenes=SCENES, cut="", clip="", temp="temp", update=""):
        slots = {"cut": cut, "clip": clip, "temp": temp, "update": update}
        # The one that waits must not hold the card.
        slots["waiting"] = "0000002" if "waits" in clip else ""
        text = SNAKEFILE.format(prepare=prepare, begin=begin or "pass", scenes=scenes, **slots)
        (self.folder / "Snakefile").write_text(text)
        return self

    def start(self, *arguments, executor=("--executor", "standin", "--jobs", "4")):
        command = [sys.executable, "-m", "snakemake", *executor, "--cores", "4", "--scheduler", "lanes", "--keep-going"]
        command += ["--seconds-between-status-checks", "1", "--nolock", "--rerun-incomplete", "--latency-wait", "2"]
        command += ["--rerun-triggers", "mtime", "params", "input", "--"]
        return subprocess.Popen(
            [*command[:-1], *arguments, *command[-1:], "all"],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(PLUGINS)])},
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "said").open("a"),
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments, exit_code=0, **how):
        assert self.start(*arguments, **how).wait(timeout=300) == exit_code, self.said
        return self

    @property
    def said(self):
        return (self.folder / "said").read_text()

    @property
    def submissions(self):
        return [json.loads(line) for line in (self.folder / "submissions").read_text().splitlines()]

    @property
    def sizes(self):
        """How many jobs each submission has, by name of the group or job."""
        return [(each["name"], len(each["jobs"])) for each in self.submissions]

    @property
    def did(self):
        """Which jobs came to work, how often."""
        return Counter((self.folder / "did").read_text().splitlines())

    @property
    def clips(self):
        return sorted(path.name for path in self.folder.glob("clips/*"))


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


def test_jobs_of_one_name_are_one_submission_that_asks_for_one_card(cluster):
    cluster.workflow().run()
    assert sorted(cluster.sizes) == [("T01-picture-001", 6), ("T01-picture-002", 6)]
    assert cluster.clips == SCENES
    assert set(cluster.did.values()) == {1}
    # Cutting takes one layer of three cores, clips go through the card one by one: 2 + 3 * 10 minutes.
    asked = {"gpu": 1, "_cores": 3, "runtime": 32, "mem_mb": 300}
    assert [each["asked"] for each in cluster.submissions] == [asked, asked]
    # Nothing is left to do, and nothing is taken for unfinished.
    cluster.run()
    assert len(cluster.submissions) == 2
    assert not list((cluster.folder / ".snakemake" / "incomplete").iterdir())


def test_without_help_each_scene_is_a_submission(cluster):
    # If this fails Snakemake has mended it, and `gather_by_name` can go.
    cluster.workflow(prepare="", begin="", scenes=SCENES[:3]).run()
    assert cluster.sizes == [("T01-picture-001", 2)] * 3


def test_where_nothing_is_submitted_nothing_is_grouped(cluster):
    cluster.workflow(scenes=SCENES[:2]).run("--logger", "rich", executor=())
    assert not (cluster.folder / "submissions").exists()
    assert "Group job" not in cluster.said
    assert "T01-picture" not in cluster.said
    assert cluster.clips == SCENES[:2]


FAILS = "fails=lambda wildcards: {often} if wildcards.scene == '0000001' else 0, error='{error}'"


def test_what_can_pass_is_tried_again_and_what_is_done_is_not(cluster):
    cluster.workflow(clip=FAILS.format(often=1, error="ToolKilled")).run("--retries", "2")
    assert cluster.clips == SCENES
    # The cut was used by nobody yet, so it is not made again either.
    assert sorted(cluster.sizes) == [("T01-picture-001", 1), ("T01-picture-001", 6), ("T01-picture-002", 6)]
    assert {job: times for job, times in cluster.did.items() if times > 1} == {"clip 0000001": 2}


@pytest.mark.parametrize("error", ["SceneError", pytest.param("death", marks=pytest.mark.long)])
def test_one_scene_does_not_take_the_others_along(cluster, error):
    cluster.workflow(clip=FAILS.format(often=9, error=error)).run("--retries", "2", exit_code=1)
    assert cluster.clips == [scene for scene in SCENES if scene != "0000001"]
    # What does not pass by itself is not tried again; what died without a word is.
    assert cluster.did["clip 0000001"] == (1 if error == "SceneError" else 3)
    assert cluster.did.total() == 12 - 1 + cluster.did["clip 0000001"]
    (cluster.folder / "mended").touch()
    cluster.run()
    assert cluster.clips == SCENES
    assert cluster.did["cut 0000001"] == 1
    assert cluster.did.total() == 12 - 1 + cluster.did["clip 0000001"]


@pytest.mark.long
def test_without_help_a_group_that_failed_loses_what_is_done(cluster):
    # If this fails Snakemake has mended it, and `snakemake_compat.groups` can go.
    prepare = "groups.gather_by_name(groups.GroupName, groups.group_resources); "
    prepare += "groups.node.become_supervisor() if workflow.remote_exec else None"
    failing = FAILS.format(often=9, error="SceneError")
    cluster.workflow(prepare=prepare, begin="", clip=failing, scenes=SCENES[:3]).run(exit_code=1)
    assert cluster.did.total() == 6
    assert cluster.clips == []


def test_what_a_failed_cut_should_have_brought_holds_up_nobody(cluster):
    cluster.workflow(cut=FAILS.format(often=9, error="SceneError")).run("--retries", "1", exit_code=1)
    assert cluster.clips == [scene for scene in SCENES if scene != "0000001"]
    assert cluster.did["cut 0000001"] == 1
    assert cluster.did["clip 0000001"] == 0


def test_a_file_that_a_job_updates_is_as_before_when_the_job_failed(cluster):
    """Subtitles that somebody corrected: the process on the node puts them back, and nobody removes them after that."""
    (cluster.folder / "clips").mkdir()
    corrected = cluster.folder / "clips" / "0000001"
    corrected.write_text("corrected by hand")
    os.utime(corrected, (0, 0))
    failing = FAILS.format(often=9, error="SceneError")
    cluster.workflow(clip=failing, scenes=SCENES[:3], update="update").run("--force", "--forcerun", "cut", exit_code=1)
    assert cluster.did["clip 0000001"] == 1
    assert corrected.read_text() == "corrected by hand"


WAITS = "waits=lambda wildcards: 'go' if wildcards.scene == '0000002' else ''"


def waiting_job(cluster):
    """The third clip is at work, and all others of its group are done."""
    wait_for((cluster.folder / "tries" / "clip-0000002").exists, seconds=120)
    # Also for Snakemake on the node: what it has not heard of yet would count as at work.
    wait_for(lambda: cluster.said.count("(Rule: clip)") == 2, seconds=60)


def on_node(submission):
    """The Snakemake process of a submission, which a shell started, or became."""
    shell = psutil.Process(submission["pid"])
    return next(each for each in (shell, *shell.children()) if each.cmdline()[1:3] == ["-m", "snakemake"])


def test_a_submission_that_is_cancelled_goes_on_with_the_rest(cluster):
    cluster.workflow(clip=WAITS, scenes=SCENES[:3])
    main = cluster.start("--retries", "1")
    waiting_job(cluster)
    (submission,) = cluster.submissions
    os.killpg(submission["pid"], signal.SIGTERM)
    wait_for(lambda: len(cluster.submissions) == 2, seconds=60)
    (cluster.folder / "go").touch()
    assert main.wait(timeout=120) == 0, cluster.said
    assert cluster.sizes == [("T01-picture-001", 6), ("T01-picture-001", 1)]
    # Others made progress: it does not count as an attempt that the third was not done.
    assert [each["attempt"] for each in cluster.submissions] == [1, 1]
    assert {job: times for job, times in cluster.did.items() if times > 1} == {"clip 0000002": 2}


def test_all_of_a_submission_ends_with_the_snakemake_process_on_the_node(cluster):
    cluster.workflow(clip=WAITS, scenes=SCENES[:3])
    main = cluster.start()
    waiting_job(cluster)
    (submission,) = cluster.submissions
    node = on_node(submission)
    scripts = [each for each in node.children(recursive=True) if "python" in each.name()]
    assert scripts
    node.kill()
    psutil.wait_procs(scripts, timeout=5)
    assert not [each for each in scripts if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert main.wait(timeout=120) == 1
    assert cluster.clips == SCENES[:2]
    assert not list(Path(cluster.folder).rglob("*.partial*"))


def test_what_is_done_is_recorded_while_the_group_is_at_work_for_a_run_that_is_killed(cluster):
    quick = "groups.group_failure.RECORD_INTERVAL_S = 0.2; groups.at_start(workflow)"
    cluster.workflow(clip=WAITS, scenes=SCENES[:3], begin=quick)
    main = cluster.start()
    waiting_job(cluster)
    marks = cluster.folder / ".snakemake" / "incomplete"
    # Of the third clip, and of its cut, which is there until it is used.
    wait_for(lambda: len(list(marks.iterdir())) == 1, seconds=60)
    main.kill()
    main.wait()
    (submission,) = cluster.submissions
    os.killpg(submission["pid"], signal.SIGKILL)
    (cluster.folder / "go").touch()
    cluster.run()
    assert {job: times for job, times in cluster.did.items() if times > 1} == {"clip 0000002": 2}
    assert cluster.sizes[1:] == [("T01-picture-001", 1)]


@pytest.mark.long
def test_without_a_record_it_is_done_again_rather_than_believed(cluster):
    """What ended on the node after the main process was gone: nobody noted with which settings it was made."""
    never = "groups.group_failure.RECORD_INTERVAL_S = 9999; groups.at_start(workflow)"
    cluster.workflow(clip=WAITS, scenes=SCENES[:3], begin=never)
    main = cluster.start()
    waiting_job(cluster)
    main.kill()
    main.wait()
    (cluster.folder / "go").touch()
    node = psutil.Process(cluster.submissions[0]["pid"])
    node.wait(timeout=60)
    assert cluster.clips == SCENES[:3]
    cluster.workflow(clip=WAITS + ", new=1", scenes=SCENES[:3]).run()
    assert all(cluster.did[f"clip {scene}"] == 2 for scene in SCENES[:3])


def test_a_submission_that_slurm_starts_again_does_not_do_again_what_is_done(cluster, monkeypatch):
    cluster.workflow(clip=WAITS, scenes=SCENES[:3])
    main = cluster.start()
    waiting_job(cluster)
    (submission,) = cluster.submissions
    # As after a node failed: the same command once more, and the main process knows nothing of it.
    shell, node = psutil.Process(submission["pid"]), on_node(submission)
    command, environment = node.cmdline(), node.environ()
    shell.suspend()
    for child in shell.children(recursive=True):
        child.kill()
    (cluster.folder / "go").touch()
    again = environment | {"SLURM_RESTART_COUNT": "1"}
    done = subprocess.run(command, cwd=cluster.folder, env=again, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert {job: times for job, times in cluster.did.items() if times > 1} == {"clip 0000002": 2}
    assert cluster.clips == SCENES[:3]
    shell.kill()
    main.kill()
    main.wait()


def test_ctrl_c_cancels_what_was_submitted(cluster):
    """What waits in a queue does not hear that it is asked to stop, and would keep the run from ending for hours."""
    stop = "from tapemill.process import signals as stopping; stopping.install_handlers(workflow.scheduler._executor)"
    cluster.workflow(clip=WAITS, scenes=SCENES[:3], begin=f"{BEGIN}; {stop}")
    main = cluster.start("--retries", "3")
    waiting_job(cluster)
    main.send_signal(signal.SIGINT)
    assert main.wait(timeout=60) == 1
    assert len(cluster.submissions) == 1
    assert cluster.clips == SCENES[:2]
    (cluster.folder / "go").touch()
    cluster.run()
    assert {job: times for job, times in cluster.did.items() if times > 1} == {"clip 0000002": 2}
