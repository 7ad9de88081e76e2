"""What a run tells while it lasts and afterwards: events, metrics and `status`, of the real workflow."""

import json
import os
import signal
import stat
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families

from tapemill.events import attempts
from tapemill.events import log as events
from tapemill.events.run_state import RunState, latest_run
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.networks import compact
from tests.support.polling import wait_for
from tests.support.project import ROOT, this_checkout

# Whatever a writer adds has to be in the schema.
SCHEMA = yaml.safe_load((ROOT / "config/schemas/event.schema.yaml").read_text()) | {"unevaluatedProperties": False}
LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2", "gpu1=2")
MODEL = "resources/models/mine.safetensors"
# ffmpeg, but that once it is killed in the middle of a scene, and once takes the job script with it.
KILLED_TWICE = """#!/bin/sh
case "$*" in
  */scenes/0000000.mkv*) [ -e "{mark}.1" ] || {{ touch "{mark}.1"; kill -9 $$; }} ;;
  */scenes/0000150.mkv*) [ -e "{mark}.2" ] || {{ touch "{mark}.2"; kill -9 $PPID; sleep 60; }} ;;
esac
exec "{ffmpeg}" "$@"
"""


def run_state(project):
    return latest_run(None, project.path("events"))


def validated(project):
    """All events of the latest run, each of which is as the schema says."""
    run = events.list_runs(project.path("events"))[-1]
    (path,) = project.path("events").glob(f"{run}.*.jsonl")
    for line in path.read_text().splitlines():
        Draft202012Validator(SCHEMA).validate(json.loads(line))
    return events.read_events(run, project.path("events"))


def samples(project):
    text = project.path("events/metrics.prom").read_text()
    families = list(text_string_to_metric_families(text))
    return {(sample.name, *sorted(sample.labels.items())): sample.value for each in families for sample in each.samples}


def status(project):
    command = [sys.executable, "-m", "tapemill", "status"]
    environment = os.environ | {"PYTHONPATH": this_checkout(), "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_an_undisturbed_run_tells_of_every_job_from_its_start_to_its_end(finished):
    found = run_state(finished)
    assert found.state == "ended"
    counts = found.counts()
    assert all((count.running, count.failed, count.to_do) == (0, 0, 0) for count in counts.values()), counts
    # Three cuts make four scenes, which nobody knew when the run began.
    assert (counts["T01", "cut_scene"].done, counts["T01", "enhance_scene"].done) == (4, 4)
    read = validated(finished)
    assert read[0].facts["tapes"]["T01"].get("cut_scene", 0) == 0
    tried = attempts.fold_attempts(read)
    assert {(attempt.number, attempt.outcome) for attempt in tried} == {(1, "done")}
    frames = {
        rule: sum(attempt.facts.get("frames", 0) for attempt in tried if attempt.rule == rule)
        for rule in {attempt.rule for attempt in tried}
    }
    # 25 interlaced frames become 50.
    assert frames["enhance_scene"] == frames["mux_tape"] == 2 * frames["cut_scene"] == 2 * frames["detect_scenes"]
    assert frames["transcribe_scene"] == frames["cut_scene"] == 275
    assert all(attempt.facts["threads"] >= 1 for attempt in tried)
    assert samples(finished)["tapemill_run_success",] == 1
    text = status(finished)
    assert "all requested files exist" in text
    assert "Nothing" not in text


@pytest.mark.long
def test_failures_retries_and_a_kept_original_count_the_same_everywhere(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    compact(copy.path(MODEL), bias=float("nan"))
    copy.path("config/scenes.tsv").write_text(f"tape\tscene\tchain\nT01\t0000050\t[network: {{model: {MODEL}}}]\n")
    copy.path("letter.avi").write_text("not a film\n" * 50)
    rows = [{"tape": "T01", "source": "captures/T01.mkv"}, {"tape": "A", "source": "letter.avi"}]
    copy.sheet(*({**row, "language": "en", "field_order": "tff", "title": "Counting"} for row in rows))
    copy.make("fetch_models")
    program = tmp_path / "ffmpeg"
    program.write_text(KILLED_TWICE.format(mark=tmp_path / "mark", ffmpeg=ffmpeg.binary()))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    copy.configure(ffmpeg=str(program))
    for name in ("T01.mkv", *(f"enhanced/{scene}.mkv" for scene in ("0000000", "0000150"))):
        copy.path(f"results/T01/{name}").unlink()
    run = copy.run("all", *LANES, cores=4)
    assert run.exit_code != 0
    read = validated(copy)
    tried = attempts.fold_attempts(read)
    assert [attempt.rule for attempt in tried if attempt.outcome == "lost"] == ["cut_scene"]

    said = run.output
    assert "1 job failed" in said
    assert "1 scene could not be processed as requested" in said
    assert "2 jobs tried again, then done" in said
    ended = read[-1].facts
    assert (len(ended["failed"]), len(ended["replaced"])) == (1, 1)
    assert (ended["tried_again"], ended["attempts_lost"], ended["interrupted"]) == (2, 2, 0)
    found = run_state(copy).outcome()
    assert [job.rule for job in found.failed] == ["probe_capture"]
    assert [(scene.kind, scene.scene) for scene in found.replaced] == [("kept", "0000050")]
    assert (found.tried_again, found.attempts_lost, found.interrupted) == (2, 2, 0)
    told = samples(copy)
    assert told["tapemill_jobs_failed",] == 1
    assert told["tapemill_scenes_replaced", ("kind", "kept"), ("tape", "T01")] == 1
    assert told["tapemill_jobs_tried_again_total",] == told["tapemill_attempts_lost_total",] == 2
    assert told["tapemill_retries_total", ("rule", "cut_scene"), ("stage", "scenes")] == 2
    text = status(copy)
    assert "failed: probe_capture A: InputError" in text
    assert "kept: T01 0000050: its video is only deinterlaced" in text
    assert "2 tried again, then done" in text

    # What went to a lane says to which, and what it took there.
    (kept,) = (attempt for attempt in tried if attempt.rule == "enhance_scene" and attempt.scene == "0000050")
    assert kept.facts["lane"] in {"cpu0", "cpu1"}
    assert kept.facts["is_warm"] is True
    assert kept.facts["peak_memory_bytes"] > 100 << 20
    assert {lane["name"] for lane in read[0].facts["lanes"]} == {"cpu0", "cpu1"}

    copy.make("report_finished")
    page = copy.path("results/report/so_far.html").read_text()
    for count in ("1</b> failed", "2</b> tried again, then done", "0</b> with less memory", "1</b> scene not as asked"):
        assert f"<b>{count}" in page
    for row in ("probe_capture, attempt 1, failed", "cut_scene, attempt 1, failed", "its video is only deinterlaced"):
        assert row in page


@pytest.mark.long
def test_a_killed_run_is_told_apart_from_one_that_is_over(copy):
    for scene in ("0000000", "0000050", "0000100", "0000150"):
        copy.path(f"results/T01/enhanced/{scene}.mkv").unlink()
    copy.path("results/T01/T01.mkv").unlink()
    before = set(events.list_runs(copy.path("events")))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "all"]
    main = subprocess.Popen(
        [*command, "--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(copy.folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": this_checkout()},
    )

    def is_at_work():
        new = set(events.list_runs(copy.path("events"))) - before
        return any(attempt.outcome == "running" for run in new for attempt in latest(run))

    def latest(run):
        found = RunState(run, copy.path("events"))
        found.update()
        return found.history.latest

    wait_for(is_at_work, seconds=120)
    assert "running for" in status(copy)
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    text = status(copy)
    assert "its main process is gone" in text
    assert "start the same command again" in text
    copy.make("all")
    assert "all requested files exist" in status(copy)
    assert run_state(copy).name not in before
