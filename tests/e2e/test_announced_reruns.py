"""What runs again after a change (config/README.md, "Reruns"): `-n`, `show_plan` and `all` agree on every job."""

import json
import os
import re
import shutil
import time
from collections import Counter

import pytest

from tests.support.project import Project

CAPTURE = "captures/T01.mkv"
ROW = {"tape": "T01", "source": CAPTURE, "language": "en", "title": "Counting", "field_order": "tff"}
JOIN = {"mux_tape": 1, "write_provenance": 1}


def title(project):
    project.sheet(ROW | {"title": "Another"})


def capture_moved(project):
    there = project.folder.with_name("archive") / "summer 1994.mkv"
    there.parent.mkdir()
    shutil.move(project.path(CAPTURE), there)
    project.sheet(ROW | {"source": str(there)})


def capture_touched(project):
    project.path(CAPTURE).touch()


def capture_copied_back(project):
    kept = project.path("kept.mkv")
    shutil.copy2(project.path(CAPTURE), kept)
    kept.rename(project.path(CAPTURE))


def capture_taken_away(project):
    project.path(CAPTURE).unlink()


def row_removed(project):
    project.sheet()


def row_removed_and_returned(project):
    project.sheet()
    project.make("all")
    project.sheet(ROW)


def subtitle_corrected(project):
    srt = project.path("results/T01/subtitles/0000050.srt")
    srt.write_text("1\n00:00:00,200 --> 00:00:01,500\nWhat she really said\n\n")


def audio_setting(project):
    project.configure(audio={"hiss_db": 6})


def results_copied_without_times(project):
    """As by a program that keeps no times: each file has another time, the tape the oldest."""
    order = ["T01.mkv", "provenance.json", "*.srt", "*.vtt", "enhanced/*", "sound.*", "subtitles/*", "scenes.*", "*"]
    folder = project.path("results/T01")
    files = dict.fromkeys(path for pattern in order for path in sorted(folder.glob(pattern)) if path.is_file())
    start_s = time.time() - 3600
    for number, path in enumerate(files):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        os.utime(path, (start_s + number, start_s + number))


def results_copied_without_times_or_records(project):
    results_copied_without_times(project)
    shutil.rmtree(project.path(".snakemake"))
    # Without records of captures here, the time of the capture decides.
    os.utime(project.path("results/T01/capture_sha256.json"))


def cleaned_results_copied_without_times_or_records(project):
    assert project.run("clean_tapes").exit_code == 0
    results_copied_without_times_or_records(project)


ROWS = {
    title: JOIN,
    capture_moved: {"check_capture": 1},
    capture_touched: {"check_capture": 1},
    capture_copied_back: {"check_capture": 1},
    capture_taken_away: {},
    row_removed: {},
    row_removed_and_returned: {},
    subtitle_corrected: {"join_subtitles": 1, **JOIN},
    audio_setting: {"clean_sound": 1, **JOIN},
    results_copied_without_times: {},
    results_copied_without_times_or_records: {},
    cleaned_results_copied_without_times_or_records: {},
}
QUICK = {capture_moved, subtitle_corrected, cleaned_results_copied_without_times_or_records}


def listed_jobs(output):
    """Jobs in the table of a dry run."""
    table = re.search(r"Job stats.*?\n *─+ *\n(.*?)\n *\n", output, re.DOTALL)
    rows = re.findall(r"^ *([a-z ]+?) +(\d+) *$", table[1] if table else "", re.MULTILINE)
    return {rule.replace(" ", "_"): int(count) for rule, count in rows if rule != "all"}


@pytest.mark.parametrize(
    "change", [pytest.param(row, marks=() if row in QUICK else pytest.mark.long, id=row.__name__) for row in ROWS]
)
def test_the_dry_run_the_plan_and_the_run_agree(copy, change):
    change(copy)
    expected = ROWS[change]
    before = copy.path("results/T01/T01.mkv").read_bytes()
    dry = copy.run("all", "-n")
    assert dry.exit_code == 0, dry.output
    assert listed_jobs(dry.output) == expected
    planned = copy.run("show_plan", "--config", "plan={json: plan.json}")
    assert planned.exit_code == 0, planned.output
    assert json.loads(copy.path("plan.json").read_text())["jobs"] == expected
    assert dict(copy.make("all").jobs) == expected
    assert not copy.make("all").jobs
    assert (copy.path("results/T01/T01.mkv").read_bytes() == before) == ("mux_tape" not in expected)


@pytest.mark.long
def test_a_correction_undone_after_a_stopped_run_is_undone_on_the_tape(copy, finished):
    """The file is as it was when the tape was finished, and what was made of the other one is not."""
    srt = copy.path("results/T01/subtitles/0000050.srt")
    original = srt.read_bytes()
    subtitle_corrected(copy)
    copy.make("results/T01/T01.srt")
    srt.write_bytes(original)
    assert copy.make("all").jobs == Counter({"join_subtitles": 1, **JOIN})
    joined = "results/T01/T01.srt"
    assert copy.path(joined).read_bytes() == Project.existing(finished.folder).path(joined).read_bytes()
