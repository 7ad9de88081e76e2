"""The queue of tapes in real runs of Snakemake, with jobs that do nothing."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.project import ROOT

SNAKEFILE = """
from pathlib import Path
from snakemake.io import flag
from snakemake.logging import logger

from tapemill.process import run_lock as runlock
from tapemill.workflow import up_to_date as settled
from tapemill.run import hooks
from tapemill.config.tape_sheet import TapeRow
from tapemill.workflow.tape_queue import TapeQueue
from tapemill.workflow.tape import tape_states

PLANNED_ON = hooks.state_before_planning()
TAPES = tape_states({
    name: TapeRow(name, Path(f"{name}.avi"), name, "", "en", "auto", "auto") for name in config["tapes"].split("-")
})

def of_tape(tape):
    return [f"results/{tape}/{tape}.mkv"]

QUEUE = TapeQueue(
    workflow, TAPES, targets=of_tape, final_targets=lambda: ["results/last.txt"],
    settings=lambda tape: {"text": config["text"]},
    limits={"tapes": 2, "scenes": 8}, log=logger.info,
)

onstart:
    hooks.on_run_start(workflow, PLANNED_ON, [])

def grown(what):
    with open(what, "a") as told:
        known = [job for job in workflow.dag.job_factory.cache.values() if "tape" in job.wildcards_dict]
        told.write(f"{len(known)} {len(workflow.dag)} {len(list(workflow.dag.jobs))}\\n")

onsuccess: grown("jobs.txt")
onerror: grown("jobs.txt")

rule all:
    input: flag(QUEUE.consume, "from_queue", QUEUE)

rule last:
    input:
        lambda _: of_all(QUEUE.planned(TAPES)),
        before_update(lambda _: of_all(QUEUE.skipped(TAPES))),
    output: "results/last.txt"
    shell: "echo {input} > {output}"

def of_all(tapes):
    return [file for tape in tapes for file in of_tape(tape)]

checkpoint detect_scenes:
    input: ancient("{tape}.avi")
    output: "results/{tape}/scenes.tsv"
    log: "logs/detect_scenes/{tape}.log"
    shell: "(echo scene; cat {input}) > {output}; echo {wildcards.tape} >> order.txt"

def clips(wildcards):
    table = checkpoints.detect_scenes.get(tape=wildcards.tape).output[0]
    return [f"results/{wildcards.tape}/{scene}.clip" for scene in Path(table).read_text().split()[1:]]

rule enhance:
    input: ancient("{tape}.avi")
    output: "results/{tape}/{scene,[0-9]+}.clip"
    log: "logs/enhance/{tape}/{scene}.log"
    params: config["text"]
    shell:
        "echo {params} {wildcards.tape}-{wildcards.scene} >> done.txt;"
        " test ! -e fails-{wildcards.tape}-{wildcards.scene}; echo > {output}"

rule mux:
    input: clips
    output: "results/{tape}/{tape}.mkv"
    log: "logs/mux/{tape}.log"
    shell: "cat {input} > {output}; echo {wildcards.tape} >> made.txt"
"""


@pytest.fixture
def archive(tmp_path):
    """Seven captures of four scenes each; the name of one that cannot be made is B."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name in "ABCDEFG":
        (tmp_path / f"{name}.avi").write_text("1 2 3 4\n")
    return tmp_path


def run(folder, *arguments, tapes="ABCDEFG", text="one", code=0, pause_s=0):
    """Of what is printed, all."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--scheduler", "greedy", "--keep-going", "--nolock"]
    command += ["--rerun-triggers", "mtime", "params", "input", "--queue-input-wait-time", str(pause_s)]
    done = subprocess.run(
        [*command, *arguments, "--config", f"tapes={'-'.join(tapes)}", f"text={text}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def lines(folder, name):
    """Of a file that jobs append to, which is removed."""
    path = folder / name
    found = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def settled(folder):
    return {path.stem for path in (folder / ".snakemake/tapemill/settled").glob("*.json")}


def test_tapes_enter_as_others_end_and_then_need_no_look(archive):
    told = run(archive)
    assert re.search(r"enter as others end: 5 \(C, D, E, F, G", told)
    assert lines(archive, "order.txt")[0] in "AB"
    assert sorted(lines(archive, "made.txt")) == list("ABCDEFG")
    assert len(lines(archive, "done.txt")) == 28
    assert (archive / "results/last.txt").read_text().count(".mkv") == 7
    # Of 42 jobs of tapes a few are still remembered; all are counted.
    remembered, counted, _ = map(int, lines(archive, "jobs.txt")[0].split())
    assert remembered <= 20
    assert counted == 44
    assert settled(archive) == set("ABCDEFG")
    told = run(archive)
    assert "finished and unchanged: 7 of 7" in told
    assert "Nothing to be done" in told


def test_finished_tapes_are_judged_without_a_pause_between_them(archive):
    run(archive)
    for path in (archive / ".snakemake/tapemill/settled").iterdir():
        path.unlink()
    lines(archive, "made.txt")
    # With a pause anywhere it would not end in time.
    run(archive, pause_s=3600)
    assert settled(archive) == set("ABCDEFG")
    assert not lines(archive, "made.txt")


@pytest.mark.long
def test_what_was_begun_comes_first(archive):
    run(archive, "results/F/3.clip", "results/F/scenes.tsv")
    (archive / "results/F/capture.json").touch()
    lines(archive, "order.txt")
    run(archive)
    assert "F" in lines(archive, "made.txt")[:2]


def test_a_tape_that_fails_does_not_stop_the_queue_but_the_run_ends_in_an_error(archive):
    (archive / "fails-B-3").touch()
    run(archive, "--retries", "1", code=1)
    assert sorted(lines(archive, "made.txt")) == list("ACDEFG")
    assert not (archive / "results/last.txt").exists()
    assert settled(archive) == set("ACDEFG")
    (archive / "fails-B-3").unlink()
    told = run(archive)
    assert lines(archive, "made.txt") == ["B"]
    assert "finished and unchanged: 6 of 7" in told
    assert (archive / "results/last.txt").read_text().count(".mkv") == 7


@pytest.mark.parametrize(
    "change",
    ["edited", *(pytest.param(each, marks=pytest.mark.long) for each in ("setting", "clip", "capture", "record"))],
)
def test_a_change_brings_a_settled_tape_back(archive, change):
    run(archive, tapes="ABC")
    assert settled(archive) == set("ABC")
    lines(archive, "done.txt"), lines(archive, "made.txt")
    clip = archive / "results/B/2.clip"
    text, makes, joins = "one", [], []
    if change == "setting":
        text, makes, joins = "two", [f"two {tape}-{scene}" for tape in "ABC" for scene in (1, 2, 3, 4)], ["A", "B", "C"]
    elif change == "clip":
        clip.unlink()
        (archive / "results/B/B.mkv").unlink()
        makes, joins = ["one B-2"], ["B"]
    elif change == "edited":
        clip.write_text("corrected")
        joins = ["B"]
    elif change == "capture":
        (archive / "B.avi").touch()
    else:
        (archive / ".snakemake/tapemill/settled/B.json").write_text("{}")
    told = run(archive, tapes="ABC", text=text)
    assert sorted(lines(archive, "done.txt")) == makes
    assert sorted(lines(archive, "made.txt")) == joins
    assert change == "setting" or "finished and unchanged: 2 of 3" in told
    run(archive, tapes="ABC", text=text)
    assert settled(archive) == set("ABC")
    assert "finished and unchanged: 3 of 3" in run(archive, tapes="ABC", text=text)


@pytest.mark.long
def test_forced_jobs_run_for_settled_tapes_too(archive):
    run(archive)
    lines(archive, "made.txt")
    run(archive, "--forceall")
    assert sorted(lines(archive, "made.txt")) == list("ABCDEFG")
    run(archive, "--forcerun", "mux")
    assert sorted(lines(archive, "made.txt")) == list("ABCDEFG")


@pytest.mark.long
def test_a_correction_made_while_the_run_goes_on_is_not_missed(archive):
    """A tape is settled as it was before Snakemake looked at all of it, not as it was when the run ended."""
    while_b_is_made = "while ! test -e results/A/A.mkv; do sleep 0.1; done; sleep 1.2; echo mine > results/A/2.clip"
    made = "{output}; echo {w"
    text = SNAKEFILE.replace(made, f"{{output}}; test {{wildcards.tape}} != B || ({while_b_is_made}); echo {{w")
    assert text != SNAKEFILE
    (archive / "Snakefile").write_text(text)
    # Now, or as the next run begins; the one after that has nothing to do.
    run(archive)
    run(archive)
    run(archive)
    assert "mine" in (archive / "results/A/A.mkv").read_text()
    assert settled(archive) == set("ABCDEFG")


def test_a_dry_run_makes_no_notes_and_says_what_waits(archive):
    told = run(archive, "--dry-run", "--quiet", "host")
    assert len(set(re.findall(r"results/(\w)/scenes.tsv", told))) == 7
    assert not settled(archive)


def test_an_explicit_target_needs_no_queue(archive):
    run(archive, "results/E/E.mkv")
    assert lines(archive, "made.txt") == ["E"]
    assert not settled(archive)
