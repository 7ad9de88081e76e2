"""What becomes of errors in the real workflow: kept, tried again, or the end of the run; and what the summary says."""

import json
import stat

import pytest

from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.media.packets import frame_count
from tests.support.media.frame_codes import make_capture
from tests.support.media.packet_damage import MJPEG, spoil
from tests.support.networks import compact
from tests.support.project import Project, result_digests

MODEL = "resources/models/mine.safetensors"
# A program that is ffmpeg, but for the one time that it is killed while it works on a scene.
KILLED_ONCE = """#!/bin/sh
case "$*" in
  *{scene}*) [ -e "{mark}" ] || {{ touch "{mark}"; kill -9 $$; }} ;;
esac
exec "{ffmpeg}" "$@"
"""


def record(project, scene):
    return json.loads(project.path(f"results/T01/enhanced/{scene}.json").read_text())


@pytest.fixture
def broken(copy, tmp_path, monkeypatch):
    """The finished tape, whose second scene is to go through a network that makes no numbers."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    compact(copy.path(MODEL), bias=float("nan"))
    copy.path("config/scenes.tsv").write_text(f"tape\tscene\tchain\nT01\t0000050\t[network: {{model: {MODEL}}}]\n")
    copy.make("fetch_models")
    return copy


def test_a_scene_that_cannot_be_restored_is_kept_and_the_summary_names_it(broken):
    before = frame_count(broken.path("results/T01/T01.mkv"))
    run = broken.make("all")
    assert dict(run.jobs) == {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    said = record(broken, "0000050")["kept_original"]
    assert said["error"] == "SceneError"
    assert "not finite" in said["message"]
    assert frame_count(broken.path("results/T01/T01.mkv")) == before
    assert "1 scene could not be processed as requested" in run.output
    assert f"T01 0000050: its video is only deinterlaced (SceneError: {said['message']})" in run.output
    assert "log: logs/enhance_scene/T01/0000050.log" in run.output
    log = broken.path("logs/enhance_scene/T01/0000050.log").read_text()
    assert ", worker " in log
    assert "cannot be restored and stays as the original" in log
    # Whoever puts the tape together again is told again, though nothing failed this time.
    broken.path("results/T01/T01.mkv").unlink()
    again = broken.make("all")
    assert dict(again.jobs) == {"mux_tape": 1, "write_provenance": 1}
    assert "T01 0000050: its video is only deinterlaced" in again.output
    # The policy decides what is to be done, and never redoes what is done.
    broken.configure(on_scene_failure="stop")
    assert not broken.make("all").jobs


@pytest.mark.long
def test_stop_makes_no_tape_and_all_else(broken):
    broken.configure(on_scene_failure="stop")
    for name in ("T01.mkv", "enhanced/0000100.mkv"):
        broken.path(f"results/T01/{name}").unlink()
    run = broken.run("all")
    assert run.exit_code != 0
    assert dict(run.jobs) == {"cut_scene": 2, "enhance_scene": 1}
    assert not broken.path("results/T01/T01.mkv").exists()
    assert not broken.path("results/T01/enhanced/0000050.mkv").exists()
    assert "1 job failed" in run.output
    assert "enhance_scene T01 0000050: SceneError: the network" in run.output
    assert "log: logs/enhance_scene/T01/0000050.log" in run.output
    assert "values that are not finite" in broken.path("logs/enhance_scene/T01/0000050.log").read_text()
    assert "Trying to restart" not in run.output
    # With the other policy the same command goes on.
    broken.configure(on_scene_failure="keep_original")
    assert dict(broken.make("all").jobs) == {"enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}


@pytest.mark.parametrize(
    ("rule", "word"),
    [("cut_scene", "scenes/"), pytest.param("clean_sound", "sound", marks=pytest.mark.long)],
)
def test_a_killed_tool_costs_one_attempt_of_any_rule_and_changes_nothing(copy, finished, tmp_path, rule, word):
    program = tmp_path / "ffmpeg"
    mark = tmp_path / "mark"
    program.write_text(KILLED_ONCE.format(scene=word, mark=mark, ffmpeg=ffmpeg.binary()))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    copy.configure(ffmpeg=str(program))
    made = {"cut_scene": "enhanced/0000050.mkv", "clean_sound": "sound.mka"}[rule]
    for name in ("T01.mkv", made):
        copy.path(f"results/T01/{name}").unlink()
    run = copy.make("all")
    assert mark.exists()
    assert run.jobs[rule] == 1
    assert "1 job tried again, then done" in run.output
    (log,) = copy.path(f"logs/{rule}").rglob("*.attempt1.log")
    assert "ToolKilled: ffmpeg was ended by SIGKILL" in log.read_text()
    assert result_digests(copy.folder) == result_digests(finished.folder)


def ready_scenes(folder, count, *, frames=10, **coding):
    project = Project(folder)
    (folder / "scenes").mkdir()
    for number in range(count):
        path = folder / "scenes" / f"{number}.mkv"
        make_capture(path, frames=frames, size=(64, 64), sound_start_s=None, **(coding or {"codec": "ffv1"}))
    return project


def test_a_fatal_error_starts_no_more_jobs(tmp_path):
    project = ready_scenes(tmp_path / "project", 8)
    project.sheet({"tape": "T", "source": "scenes", "language": "en", "field_order": "progressive"})
    project.make("results/T/capture.json")
    project.configure(ffmpeg=str(tmp_path / "nowhere"))
    run = project.run("all", cores=1)
    assert run.exit_code != 0
    assert "The run was stopped, because all other jobs would fail too: SetupError" in run.output
    assert "1 job failed" in run.output
    assert "correct the setting `ffmpeg`" in run.output
    met = [log for log in project.path("logs").rglob("*.log") if "SetupError" in log.read_text()]
    # The job that failed, and at most one that was just starting; seventeen need the tool.
    assert 1 <= len(met) <= 2


@pytest.mark.long
def test_a_damaged_scene_is_left_out_of_nothing_or_leaves_the_tape_unmade(tmp_path):
    project = ready_scenes(tmp_path / "project", 3, frames=20, **MJPEG)
    spoil(project.path("scenes/1.mkv"), range(5, 20))
    project.sheet({"tape": "T", "source": "scenes", "language": "en", "field_order": "progressive"})
    project.configure(on_scene_failure="stop")
    run = project.run("all")
    assert run.exit_code != 0
    assert run.jobs["enhance_scene"] == 2
    assert not project.path("results/T/T.mkv").exists()
    assert "cut_scene T 0000002: ToolFailed: ffmpeg failed" in run.output
    assert "exit code 69" in project.path("logs/cut_scene/T/0000002.log").read_text()
    project.configure()
    run = project.make("all")
    assert dict(run.jobs) == {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    assert "T 0000002: damaged frames are replaced by others (only 5 of 20" in run.output
    assert frame_count(project.path("results/T/T.mkv")) == 60
    stands_in = json.loads(project.path("results/T/enhanced/0000002.json").read_text())["stands_in"]
    assert stands_in.startswith("only 5 of 20 frames")
    assert stands_in in project.path("logs/mux_tape/T.log").read_text()


@pytest.mark.long
def test_one_bad_capture_does_not_stop_the_other_tapes(tmp_path):
    project = ready_scenes(tmp_path / "project", 2)
    project.path("letter.avi").write_text("not a film\n" * 50)
    rows = [{"tape": "A", "source": "letter.avi"}, {"tape": "B", "source": "scenes"}]
    project.sheet(*({**row, "language": "en", "field_order": "progressive"} for row in rows))
    run = project.run("all")
    assert run.exit_code != 0
    assert project.path("results/B/B.mkv").exists()
    assert "probe_capture A: InputError" in run.output
    assert "The run was stopped" not in run.output


@pytest.mark.long
def test_a_run_in_which_all_went_well_says_so_in_a_line(copy):
    copy.path("results/T01/T01.mkv").unlink()
    assert "Nothing failed, nothing was replaced." in copy.make("all").output
