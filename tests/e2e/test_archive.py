"""The queue of tapes with the real workflow; with jobs that do nothing: tests/workflow/test_queue.py."""

import json
import shutil

import pytest

SCENES = 4
ROW = {"source": "captures/T01.mkv", "title": "Counting", "field_order": "tff"}


@pytest.mark.long
def test_tapes_go_through_the_queue_one_by_one_and_through_all_checkpoints(copy):
    """T01 is finished, T02 half: of its scenes, which are known, one is missing. T03 has to be looked into."""
    copy.configure(queue={"tapes": 1})
    copy.sheet(
        ROW | {"tape": "T01", "language": "en"},
        ROW | {"tape": "T02", "language": "auto"},
        ROW | {"tape": "T03", "language": "auto"},
    )
    copy.make("results/T02/T02.mkv")
    for name in ("T02.mkv", "enhanced/0000100.mkv"):
        copy.path(f"results/T02/{name}").unlink()
    shutil.rmtree(copy.path(".snakemake/tapemill/settled"))
    run = copy.make("all", "--queue-input-wait-time", "1")
    assert "Tapes in the queue, which enter as others end: 2 (T03, T01)" in run.output
    assert run.jobs["enhance_scene"] == run.jobs["cut_scene"] == SCENES + 1
    assert run.jobs["transcribe_scene"] == run.jobs["extract_audio"] == SCENES
    assert run.jobs["mux_tape"] == 2
    last = max(copy.path("events").glob("*.jsonl")).read_text().splitlines()
    planned = [event for event in map(json.loads, last) if event["event"] in ("run_started", "jobs_planned")][-1]
    assert planned["jobs"]["enhance_scene"] == SCENES + 1
    assert set(planned["tapes"]) == {"T02", "T03"}
    again = copy.make("all")
    assert "finished and unchanged: 3 of 3" in again.output
    assert "Nothing to be done" in again.output
