import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from rich.console import Console

from tapemill.cli.main import main
from tapemill.cli.status_view import render_run
from tapemill.events.run_state import RunState
from tests.support.event_script import RUN, START, Script
from tests.support.project import ROOT

LANES = [{"name": "xpu0", "kind": "xpu", "jobs": 2}, {"name": "xpu1", "kind": "xpu", "jobs": 2}]


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return Script(tmp_path)


def shown(at_s, width=80, most_lines=None):
    run_state = RunState(RUN)
    run_state.update()
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
    now = START + timedelta(seconds=at_s)
    console.print(render_run(run_state, most_lines=most_lines, now=now))
    return stream.getvalue()


def columns(text, first):
    """Words of the line that begins with this one."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def running(script):
    """A run of two tapes in the middle of its work."""
    scenes = {"detect_scenes": 1, "cut_scene": 4, "enhance_scene": 4, "transcribe_scene": 4, "mux_tape": 1}
    script.begin({"T01": {"probe_capture": 1, **scenes}, "holiday-1994": {"probe_capture": 1}}, lanes=LANES)
    script.job(0, 3, "probe_capture")
    script.job(3, 10, "detect_scenes", frames=6000)
    for number in range(4):
        script.job(10 + number, 14 + number, "cut_scene", scene=f"000{number}000", frames=750)
    kept = [{"kind": "kept", "reason": "SceneError: the network made black frames", "scene": ""}]
    script.job(20, 80, "enhance_scene", scene="0000000", lane="xpu0", frames=1500, peak_memory_bytes=3 << 30)
    script.job(20, 70, "enhance_scene", scene="0001000", lane="xpu1", frames=1500, notices=kept)
    script.job(70, 72, "transcribe_scene", scene="0000000", outcome="failed", lane="xpu1")
    script.job(75, 80, "transcribe_scene", scene="0000000", attempt=2, lane="xpu1", frames=750)
    script.job(80, 84, "transcribe_scene", scene="0001000", outcome="failed", kind="scene", is_final=True, lane="xpu1")
    job = script.job(80, None, "enhance_scene", scene="0002000", lane="xpu0")
    script.write(100, "job_progress", **job, frames=600, total_frames=1500, frames_per_s=25.0, remaining_s=36.0)
    script.job(90, None, "probe_capture", "holiday-1994")


@pytest.mark.parametrize("width", [80, 140])
def test_a_running_run(script, width):
    running(script)
    text = shown(110, width)
    assert max(map(len, text.splitlines())) <= width
    assert "running for 1:50; 9 of 16 jobs done" in text
    assert "time left: more than" in text
    assert "unknown for mux_tape, probe_capture" in text
    assert columns(text, "enhance")[:4] == ["enhance", "2", "1", "1"]
    assert columns(text, "subtitles")[:4] == ["subtitles", "1", "2", "1"]
    assert columns(text, "T01")[1:] == ["1/1", "5/5", "1/4", "2/4", "0/1", "1", "unknown"]
    lane = next(line for line in text.splitlines() if line.startswith("xpu0"))
    assert lane.split()[-6:] == ["0:30", "40", "%", "25.0", "0:26", "3072"]
    assert "idle" in next(line for line in text.splitlines() if line.startswith("xpu1"))
    assert "failed: transcribe_scene T01 0001000: killed" in text
    assert "kept: T01 0001000: its video is only deinterlaced" in text
    assert "jobs: 1 tried again, then done" in text
    if width == 140:
        assert "enhance_scene T01 0002000" in lane
        assert "probe_capture holiday-1994" in text


def test_a_job_that_waits_at_a_lane_stands_below_the_one_that_works_there(script):
    script.begin({"T01": {"enhance_scene": 2}}, lanes=LANES)
    script.job(0, None, "enhance_scene", scene="0000000", lane="xpu1", waits=True)
    script.job(0, None, "enhance_scene", scene="0000050", lane="xpu1")
    lines = shown(5).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("xpu1"))
    assert "T01 0000050 " in lines[place]
    assert "enhance_scene T01 0000000: waits" in lines[place + 1]
    assert "time left: unknown, no enhance_scene is done yet" in shown(5)


def test_a_tape_that_is_not_divided_yet_makes_the_time_unknown(script):
    script.begin({"T01": {"probe_capture": 1, "detect_scenes": 1}})
    script.job(0, 3, "probe_capture")
    text = shown(5)
    assert "time left: unknown until the jobs of T01" in text


def test_a_finished_run_says_so_and_shows_no_lanes(script):
    script.begin({"T01": {"probe_capture": 1}}, lanes=LANES)
    script.job(0, 3, "probe_capture")
    script.end(3661)
    text = shown(4000)
    assert "ended 11:01:01, after 1:01:01; 1 of 1 jobs done" in text
    assert "\nall requested files exist" in text
    assert "lane" not in text
    assert "ended 2026-11-21 11:01" in shown(100_000)


def test_a_failed_run_names_what_failed(script):
    script.begin({"T01": {"probe_capture": 1}})
    script.job(0, 3, "probe_capture", outcome="failed", reason="InputError: no video", is_final=True, kind="fatal")
    script.end(4, is_ok=False)
    text = shown(10)
    assert "some requested files do not exist" in text
    assert "failed: probe_capture T01: InputError: no video" in text
    assert "log: logs/probe_capture/T01.log" in text


def test_a_killed_run_says_so(script):
    script.begin({"T01": {"probe_capture": 1}}, run_id="1-1")
    script.job(0, None, "probe_capture")
    text = shown(60)
    assert "killed; last event 10:00:00; 0 of 1 jobs done" in text
    assert "its main process is gone; start the same command again" in text
    assert columns(text, "capture") == ["capture", "0", "1"]


def test_of_a_run_on_another_machine_nobody_knows_whether_it_runs(script):
    script.begin({"T01": {"probe_capture": 2}}, host="elsewhere")
    script.job(0, 3, "probe_capture", scene="1")
    assert "it cannot be seen from here whether it still runs; last event 10:00:03" in shown(60)


def test_names_are_no_markup_and_long_ones_break_nothing(script):
    tape = "a" * 100
    script.begin({tape: {"probe_capture": 2}, "T02": {"probe_capture": 1}})
    job = script.job(0, None, "probe_capture", tape, "[red]x[/red]")
    assert job["scene"] == "[red]x[/red]"
    text = shown(5)
    assert max(map(len, text.splitlines())) <= 80
    assert "[red]x[/red]" in shown(5, 250)


def test_many_tapes_and_failures_fit_on_the_screen(script):
    script.begin({f"T{number:03}": {"cut_scene": 1} for number in range(200)})
    for number in range(100):
        script.job(0, 3, "cut_scene", f"T{number:03}", "0", outcome="failed", is_final=True, kind="scene")
    text = shown(10, most_lines=40)
    assert len(text.splitlines()) <= 40
    assert "194 more" in text
    assert "and 94 more" in text


def test_a_pipe_gets_it_once(script, capsys):
    script.begin({"T01": {"probe_capture": 1}})
    assert main(["status"]) == 0
    assert "0 of 1 jobs done" in capsys.readouterr().out
    assert main(["status", "--once", RUN[:12]]) == 0
    assert "0 of 1 jobs done" in capsys.readouterr().out


def test_without_a_run_it_says_where_to_look(script, capsys):
    script.path.parent.rmdir()
    assert main(["status"]) == 78
    said = capsys.readouterr().err
    assert "there are no events of a run here" in said
    assert "what to do" in said


def terminal(folder, lines):
    """`status` in a terminal of its own; returns the process and the terminal's other end."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tapemill", "status"],
        cwd=folder,
        env={**environment, "COLUMNS": "100", "LINES": str(lines)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(terminal, word, seconds=30.0):
    text, deadline = "", time.monotonic() + seconds
    while word not in text:
        assert select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], text
        try:
            text += os.read(terminal, 1 << 16).decode()
        except OSError:  # its last user has gone
            break
    return text


def test_in_a_terminal_it_follows_the_run_to_its_end(script, tmp_path):
    script.begin({"T01": {"probe_capture": 1}})
    process, screen = terminal(tmp_path, 40)
    assert "0 of 1 jobs done" in read_until(screen, "left")
    script.job(0, 3, "probe_capture")
    read_until(screen, "1 of 1 jobs done")
    script.end(4)
    assert "all requested files exist" in read_until(screen, "is there")
    assert process.wait(30) == 0
    os.close(screen)


def test_ctrl_c_ends_it_without_a_traceback(script, tmp_path):
    script.begin({"T01": {"probe_capture": 1}})
    process, screen = terminal(tmp_path, 40)
    read_until(screen, "left")
    process.send_signal(signal.SIGINT)
    rest = read_until(screen, "\0")
    assert process.wait(30) == 0
    assert "Traceback" not in rest
    assert "\x1b[?25h" in rest  # the cursor is back
    os.close(screen)


def test_a_run_that_snakemake_broke_off_says_why(script):
    script.begin({"T01": {"probe_capture": 1}})
    script.job(0, None, "probe_capture")
    script.write(30, "run_broken_off", reason="WorkflowError in rule x:\n  no such table")
    text = shown(60)
    assert "broken off 10:00:30, after 0:30; 0 of 1 jobs done" in text
    assert "an error of Snakemake ended the run: WorkflowError in rule x: no such table" in text
    assert "start the same command again" in text
    assert columns(text, "capture") == ["capture", "0", "1"]
    script.end(61)
    assert "ended 10:01:01" in shown(62)
