"""Runs as their events tell them."""

from datetime import UTC, datetime, timedelta

import pytest

from tapemill.core.timing import FrameRange
from tapemill.events.attempts import Attempt
from tapemill.events.run_state import load_run
from tapemill.report.run_page import render_run_report
from tapemill.report.runs import run_view, run_views
from tapemill.report.tape_history import failed_attempts, newest_attempts, seconds_of, work_by_stage
from tests.support.event_script import RUN, Script

SCENES = {"T": ["0000000", "0000050"]}
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def attempt(rule, scene="", begin=0.0, end=1.0, *, number=1, outcome="done", tape="T", **facts):
    log = f"logs/{rule}/{tape}/{scene}.log" if scene else f"logs/{rule}/{tape}.log"
    times = {
        "started": START + timedelta(seconds=begin),
        "ended": None if end is None else START + timedelta(seconds=end),
    }
    return Attempt(rule, tape, scene, log, number=number, outcome=outcome, facts=facts, **times)


def test_lanes_have_rows_with_their_idle_share_and_stages_without_one_are_below():
    run = run_view(
        "r",
        [
            attempt("probe_capture", begin=0, end=2),
            attempt("enhance_scene", "0000000", 2, 6, lane="gpu0", device="Arc A770"),
            attempt("enhance_scene", "0000050", 2, 4, lane="gpu1"),
            attempt("transcribe_scene", "0000000", 5, 6, lane="gpu1"),
            attempt("extract_audio", "0000000", 2, 3),
            attempt("extract_audio", "0000050", 2.5, 3),
        ],
    )
    assert [row.name for row in run.rows] == ["gpu0", "gpu1", "capture", "audio"]
    assert [row.idle_share for row in run.rows] == [0, 0.25, None, None]
    assert run.rows[0].device == "Arc A770"
    assert run.rows[3].slots == 2
    assert run.length_s == 6
    assert run.stages["audio"] == (2, 1.5)


def test_a_job_that_waits_at_a_lane_begins_when_the_one_before_it_has_ended():
    run = run_view("r", [attempt("enhance_scene", f"{n:07d}", 0, 2 * n + 2, lane="gpu0") for n in range(3)])
    assert [(bar.start_s, bar.stop_s) for bar in run.rows[0].bars] == [(0, 2), (2, 4), (4, 6)]
    assert run.rows[0].busy_s == 6
    assert run.rows[0].idle_share == 0


def test_waiting_before_the_work_is_no_work():
    (row,) = run_view("r", [attempt("enhance_scene", "0000000", 0, 10, seconds=4.0)]).rows
    assert [(bar.start_s, bar.stop_s) for bar in row.bars] == [(6, 10)]


def test_what_still_runs_is_left_out():
    run = run_view(
        "r", [attempt("mux_tape", begin=0, end=3), attempt("render_run_report", begin=3, end=None, outcome="running")]
    )
    assert [row.name for row in run.rows] == ["tape"]
    assert run.length_s == 3
    assert run_view("r", [attempt("render_run_report", begin=0, end=None, outcome="running")]).rows == ()


def test_what_came_out_otherwise_is_told_once_and_what_failed_each_time():
    kept = [{"kind": "kept", "reason": "GateError: black", "scene": ""}]
    again = [{"kind": "kept", "reason": "GateError: black", "scene": "0000050"}]
    lowered = [{"kind": "lowered", "reason": "smaller tiles", "scene": ""}]
    attempts = [
        attempt("enhance_scene", "0000000", outcome="failed", reason="ToolKilled: gone"),
        attempt("enhance_scene", "0000000", number=2, outcome="lost"),
        attempt("enhance_scene", "0000000", number=3, notices=lowered),
        attempt("enhance_scene", "0000050", notices=kept),
        attempt("mux_tape", notices=again),
        attempt("clean_sound", outcome="failed", reason="SceneError: no"),
    ]
    run = run_view("r", attempts)
    assert run.done == 3
    assert [(tape, each.scene, each.kind) for tape, each in run.deviations] == [
        ("T", "0000000", "lowered"),
        ("T", "0000050", "kept"),
    ]
    assert [each.reason for _, each in run.failed_attempts][:2] == ["ToolKilled: gone", "ended without a report"]


def test_a_run_is_counted_as_its_status_counts_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Script(tmp_path)
    script.begin({"T": {"enhance_scene": 3, "clean_sound": 1}}, retries=0)
    lowered, kept = ({"kind": kind, "reason": "why", "scene": ""} for kind in ("lowered", "kept"))
    script.job(0, 1, "enhance_scene", "T", "0000000", outcome="failed")
    script.job(1, 2, "enhance_scene", "T", "0000000", attempt=2, notices=[lowered])
    script.job(1, 2, "enhance_scene", "T", "0000050", notices=[kept])
    script.job(2, None, "enhance_scene", "T", "0000100")
    script.job(2, 3, "clean_sound", "T", outcome="failed", is_final=True)
    script.end(4, is_ok=False)
    found = load_run(RUN).outcome()
    # The one that was lost as the run ended is to be done again, which is no failure.
    assert (len(found.failed), found.interrupted) == (1, 1)
    render_run_report(tapes=["T"], samples={}, target=tmp_path / "runs.html")
    page = (tmp_path / "runs.html").read_text()
    for count in ("2</b> jobs done", "1</b> failed", "1</b> tried again", "1</b> with less", "1</b> scene not as"):
        assert f"<b>{count}" in page


def test_only_runs_that_made_what_is_there_are_shown():
    runs = {
        "1": [attempt("enhance_scene", "0000000"), attempt("mux_tape")],
        "2": [attempt("enhance_scene", "0000000"), attempt("mux_tape", outcome="failed")],
        "3": [attempt("mux_tape")],
        "4": [attempt("mux_tape", tape="another")],
        "4a": [attempt("render_tape_report")],
    }
    assert [run.name for run in run_views(runs, SCENES)] == ["2", "3"]
    # Of a tape that is not finished, what failed last counts too.
    runs["5"] = [attempt("clean_sound", outcome="failed", tape="another")]
    assert [run.name for run in run_views(runs, SCENES | {"another": None})] == ["2", "3", "4", "5"]
    assert {log: run for log, (run, _) in newest_attempts(runs, SCENES).items()} == {
        "logs/enhance_scene/T/0000000.log": "2",
        "logs/mux_tape/T.log": "3",
    }


def test_failed_attempts_of_the_runs_that_count():
    old = attempt("enhance_scene", "0000000", outcome="failed", reason="old")
    new = attempt("enhance_scene", "0000000", outcome="failed", reason="new", kept_log="logs/x.attempt1.log")
    done = attempt("enhance_scene", "0000000", number=2)
    runs = {"1": [old, done], "2": [new, done]}
    (found,) = failed_attempts(runs, newest_attempts(runs, SCENES))
    assert (found.reason, found.log, found.number) == ("new", "logs/x.attempt1.log", 1)


def test_speed_counts_the_tape_once_for_rules_that_follow_each_other():
    scenes = {"0000000": FrameRange(0, 50), "0000050": FrameRange(50, 100)}
    jobs = [attempt("cut_scene", scene, 0, 2) for scene in scenes]
    # A scene that the tape no longer has.
    jobs += [attempt("detect_scenes", begin=0, end=1), attempt("cut_scene", "0000070", 0, 3)]
    (scenes_stage,) = work_by_stage(newest_attempts({"1": jobs}, {"T": scenes}), scenes, 25)
    assert (scenes_stage.stage, scenes_stage.jobs) == ("scenes", 3)
    assert scenes_stage.video_s == pytest.approx(4)
    assert scenes_stage.seconds == pytest.approx(5)
    assert scenes_stage.times_real == pytest.approx(0.8)
    assert seconds_of(attempt("mux_tape", begin=1, end=4)) == 3
