"""What the main process tells, in real runs of Snakemake."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator

from tapemill.events import log as events
from tapemill.events.run_state import JobCounts, RunState
from tests.support.project import ROOT

SCHEMA = yaml.safe_load((ROOT / "config/schemas/event.schema.yaml").read_text())
SNAKEFILE = """
from tapemill.run import event_publisher as telling

onstart:
    telling.start_event_publishing(workflow, lambda rule, tape, scene: 2.0 if scene else None)

onsuccess:
    telling.stop_event_publishing()

rule all:
    input: [f"{tape}.tape" for tape in ("A", "B")]

checkpoint detect_scenes:
    output: "{tape}.tsv"
    log: "logs/detect_scenes/{tape}.log"
    shell: "echo 1 2 3 > {output}"

def cuts(wildcards):
    table = checkpoints.detect_scenes.get(tape=wildcards.tape).output[0]
    return [f"{wildcards.tape}/{scene}.cut" for scene in open(table).read().split()]

rule cut_scene:
    output: touch("{tape}/{scene}.cut")
    log: "logs/cut_scene/{tape}/{scene}.log"
    shell: "true"

rule mux_tape:
    input: cuts
    output: touch("{tape}.tape")
    log: "logs/mux_tape/{tape}.log"
    shell: "true"
"""
WHOLE = {"cut_scene": 3, "detect_scenes": 1, "mux_tape": 1}
LANES = ("--scheduler", "lanes", "--resources", "gpu0=2", "gpu1=1")


def run(folder, *arguments, snakefile=SNAKEFILE, code=0):
    (folder / "Snakefile").write_text(snakefile)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy", "--retries", "2", *arguments]
    command += ["--snakefile", str(folder / "Snakefile"), "--directory", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stderr
    name = events.list_runs(folder / "events")[-1]
    read = events.read_events(name, folder / "events")
    for line in next((folder / "events").glob(f"{name}*.jsonl")).read_text().splitlines():
        Draft202012Validator(SCHEMA | {"unevaluatedProperties": False}).validate(json.loads(line))
    return read


def test_jobs_that_a_checkpoint_brings_are_told_of(tmp_path):
    start, *later = run(tmp_path)
    assert start.facts["tapes"] == {tape: {"detect_scenes": 1, "mux_tape": 1} for tape in "AB"}
    assert start.facts["jobs"] == {"detect_scenes": 2, "mux_tape": 2}
    assert start.facts["expected_s"] == {"A": {}, "B": {}}
    assert (start.facts["retries"], start.facts["lanes"]) == (2, [])
    assert [event.kind for event in later] == ["jobs_planned", "jobs_planned"]
    assert later[-1].facts["tapes"] == {"A": WHOLE, "B": WHOLE}
    assert later[-1].facts["expected_s"] == {tape: {"cut_scene": 6.0} for tape in "AB"}
    assert (tmp_path / "events" / "metrics.prom").read_text().startswith("# HELP tapemill_")


def test_only_what_is_to_be_done_is_planned(tmp_path):
    run(tmp_path)
    (tmp_path / "A.tape").unlink()
    (start,) = run(tmp_path)
    assert start.facts["tapes"] == {"A": {"mux_tape": 1}}
    run_state = RunState(start.run, tmp_path / "events")
    run_state.update()
    assert run_state.counts() == {("A", "mux_tape"): JobCounts(to_do=1)}


@pytest.mark.parametrize("device", ["cpu"])
def test_lanes_are_named_as_jobs_name_them(tmp_path, device):
    start, *_ = run(tmp_path, *LANES, "--scheduler-lanes-device", device)
    assert start.facts["lanes"] == [
        {"name": f"{device}{number}", "kind": device, "jobs": jobs} for number, jobs in enumerate((2, 1))
    ]


def test_a_run_that_snakemake_itself_breaks_off_says_so(tmp_path):
    stumbling = SNAKEFILE.replace("return [f", "raise ValueError('no such table')\n    return [f")
    read = run(tmp_path, snakefile=stumbling, code=1)
    assert [event.kind for event in read] == ["run_started", "run_broken_off"]
    assert "no such table" in read[-1].facts["reason"]
    run_state = RunState(read[-1].run, tmp_path / "events")
    run_state.update()
    assert (run_state.state, run_state.is_over) == ("broken off", True)
    assert 'tapemill_run_state{state="broken off"} 1.0' in (tmp_path / "events" / "metrics.prom").read_text()


def test_a_hook_that_stumbles_breaks_the_run_off(tmp_path):
    hook = "onsuccess:\n    raise WorkflowError('no room for it')"
    read = run(tmp_path, snakefile=SNAKEFILE.replace("onsuccess:\n    telling.stop_event_publishing()", hook), code=1)
    assert read[-1].kind == "run_broken_off"
    assert "no room for it" in read[-1].facts["reason"]


def test_no_run_fails_for_its_metrics(tmp_path):
    (tmp_path / "events" / "metrics.prom" / "in the way").mkdir(parents=True)
    assert run(tmp_path)[0].kind == "run_started"
