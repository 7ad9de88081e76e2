"""Snakemake's main process with many jobs: each defect that `tapemill.snakemake_compat` patches, with and without."""

import gc
import os
import subprocess
import sys
from pathlib import Path

from tapemill.events import log as events
from tapemill.events.run_state import load_run
from tapemill.snakemake_compat.gc_threshold import NEW_OBJECTS, raise_gc_threshold
from tests.support.project import ROOT

JOBS = 12
FIXTURES = Path(__file__).parents[1] / "fixtures"
SNAKEFILE = (FIXTURES / "main_process.smk").read_text()


FAILS = (FIXTURES / "main_process_fails.smk").read_text()


def snakemake(folder, *options, cores=1):
    """A run in a folder, to its end."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--scheduler", "greedy", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def made(folder, snakefile):
    """What a run prints that ends well."""
    (folder / "Snakefile").write_text(snakefile)
    done = snakemake(folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def timers(folder, hook):
    """How many timers for another look there are when all jobs are done."""
    told = made(folder, SNAKEFILE.replace("HOOK", hook))
    assert len(list((folder / "done").iterdir())) == JOBS
    return int(told.partition("timers:")[2].split()[0])


def test_looks_for_ready_jobs_do_not_multiply(tmp_path):
    assert timers(tmp_path, "limit_reschedule_timers(workflow.scheduler)") <= 1


def test_without_help_they_do(tmp_path):
    # If this fails Snakemake has mended it, and `reschedule_once_a_second` can go.
    assert timers(tmp_path, "pass") > 1


def test_a_log_that_vanished_costs_no_traceback_on_the_terminal(tmp_path):
    (tmp_path / "Snakefile").write_text(FAILS)
    done = snakemake(tmp_path, "--logger", "rich")
    assert done.returncode == 1
    assert "Failed one" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


ANCIENT = (FIXTURES / "main_process_ancient.smk").read_text()


def vote_beside_a_choice(folder, help):
    """A run in which a checkpoint ends while a job runs whose file, `ancient` for others, is there."""
    (folder / "Snakefile").write_text(ANCIENT.replace("HELP", help))
    return snakemake(folder, "--keep-going", cores=2)


def test_a_vote_beside_a_choice_loses_no_tape(tmp_path):
    done = vote_beside_a_choice(tmp_path, "patch_needrun_across_ancient()")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tape").exists()
    assert run_state(tmp_path).ended.facts["is_ok"] is True


def test_without_help_it_does_and_that_run_does_not_end_as_if_all_were_done(tmp_path):
    done = vote_beside_a_choice(tmp_path, "")
    # If this is 0 Snakemake has mended it, and `see_beyond_ancient_input` can go.
    assert done.returncode == 1
    assert "1 of the requested files do not exist: tape" in done.stderr
    assert "start the same command again" in done.stderr
    assert "Nothing failed" not in done.stderr
    ended = run_state(tmp_path)
    assert (ended.state, ended.ended.facts["is_ok"], ended.outcome().missing) == ("ended", False, ("tape",))
    again = vote_beside_a_choice(tmp_path, "")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "tape").exists()


def run_state(folder):
    """The last run in a folder, by its events."""
    return load_run(events.list_runs(folder / "events")[-1], folder / "events")


def test_the_collector_looks_seldom_and_keeps_its_generations():
    before = gc.get_threshold()
    try:
        raise_gc_threshold()
        assert gc.get_threshold() == (NEW_OBJECTS, *before[1:])
    finally:
        gc.set_threshold(*before)


LOOKED_AT = (FIXTURES / "main_process_looked_at.smk").read_text()


def looks(folder, help):
    """How often Snakemake looked at what the input function takes."""
    told = made(folder, LOOKED_AT.replace("HELP", help))
    for path in [*folder.glob("*.in"), *folder.glob("*.out")]:
        path.unlink()
    return int(told.partition("looks:")[2].split()[0])


def test_what_a_function_takes_is_looked_at_once(tmp_path):
    assert looks(tmp_path, "") > 20
    assert looks(tmp_path, "cache_function_params()") == 1


TEMPORARY = (FIXTURES / "main_process_temporary.smk").read_text()


def cut_while_a_checkpoint_is_to_come(folder, hook):
    """What has become of a temporary file that nobody needs any more."""
    made(folder, TEMPORARY.replace("HELP", hook))
    assert not (folder / "cut").exists()
    return (folder / "late.done").read_text().strip()


def test_a_temporary_file_goes_although_a_checkpoint_is_to_come(tmp_path):
    hook = "remove_temp_files_early(workflow.dag)"
    assert cut_while_a_checkpoint_is_to_come(tmp_path, hook) == "gone"


def test_without_help_it_stays_until_then(tmp_path):
    # If this fails Snakemake has mended it, and `remove_temporary_files_at_once` can go.
    assert cut_while_a_checkpoint_is_to_come(tmp_path, "pass") == "kept"


RETRY = (FIXTURES / "main_process_retry.smk").read_text()


def retry_while_a_checkpoint_ends(folder, hook):
    """Run a workflow in which a checkpoint ends while a failed job waits for its second attempt."""
    (folder / "Snakefile").write_text(RETRY.replace("HELP", hook))
    done = snakemake(folder, "--resources", "gpu=2", cores=3)
    assert "Trying to restart job" in done.stderr
    return done


def test_a_retry_outlasts_the_end_of_a_checkpoint(tmp_path):
    done = retry_while_a_checkpoint_ends(tmp_path, "keep_retries_through_checkpoints()")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tape").exists()


def test_without_the_patch_the_retry_and_what_follows_are_dropped(tmp_path):
    # If this fails Snakemake has mended it, and `keep_retries_through_checkpoints` can go.
    retry_while_a_checkpoint_ends(tmp_path, "")
    assert not (tmp_path / "tape").exists()
