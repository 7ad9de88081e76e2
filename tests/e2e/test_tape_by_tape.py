"""What is wrong with one row, one capture or one row of scene settings costs that tape; a path is no identity."""

import shutil

import pytest

from tapemill.cli.main import main
from tests.support.project import DEMO_MODEL

ROW = {"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "Counting", "field_order": "tff"}


def jobs_of_dry_run(project, *arguments):
    run = project.run("all", "-n", *arguments)
    assert run.exit_code == 0, run.output
    return run.output


def nothing_to_do(project):
    return "Nothing to be done" in jobs_of_dry_run(project)


@pytest.mark.parametrize("how", ["moved", "renamed", "absolute", "linked"])
def test_a_capture_that_moved_is_the_same_capture(copy, tmp_path, how):
    old = copy.path("captures/T01.mkv")
    new = {"moved": tmp_path / "archive" / "T01.mkv", "renamed": copy.path("captures/summer 1994.mkv")}.get(how, old)
    new.parent.mkdir(exist_ok=True)
    if how == "linked":
        shutil.move(old, tmp_path / "there.mkv")
        old.symlink_to(tmp_path / "there.mkv")
    elif new != old:
        shutil.move(old, new)
    copy.sheet(ROW | {"source": str(new.relative_to(copy.folder) if how == "renamed" else new)})
    # Its content is read once more, and nothing is made.
    assert "check_capture" in jobs_of_dry_run(copy)
    assert dict(copy.make("all").jobs) == {"check_capture": 1}
    assert nothing_to_do(copy)
    # A deleted clip is made again from where the capture is now.
    copy.path("results/T01/enhanced/0000050.mkv").unlink()
    copy.path("results/T01/T01.mkv").unlink()
    assert copy.make("all").jobs["enhance_scene"] == 1


def test_a_moved_capture_with_other_content_is_another_capture(copy, tmp_path):
    data = bytearray(copy.path("captures/T01.mkv").read_bytes())
    data[-10] ^= 1
    (tmp_path / "new.mkv").write_bytes(data)
    copy.sheet(ROW | {"source": str(tmp_path / "new.mkv")})
    assert "probe_capture" in jobs_of_dry_run(copy)
    assert copy.make("all").jobs["enhance_scene"] == 4


def test_another_title_of_a_moved_capture_joins_the_tape_and_no_more(copy, tmp_path):
    shutil.move(copy.path("captures/T01.mkv"), tmp_path / "T01.mkv")
    copy.sheet(ROW | {"source": str(tmp_path / "T01.mkv"), "title": "Another"})
    jobs = copy.make("all").jobs
    assert jobs["mux_tape"] == 1
    assert not {"cut_scene", "enhance_scene", "transcribe_scene", "probe_capture"} & set(jobs)


def test_a_finished_tape_needs_no_capture(copy, monkeypatch, capsys):
    copy.path("captures/T01.mkv").unlink()
    assert nothing_to_do(copy)
    assert not copy.make("all").jobs
    assert copy.run("clean_tapes").exit_code == 0
    assert not list(copy.path("results/T01/enhanced").glob("*.mkv"))
    monkeypatch.chdir(copy.folder)
    assert main(["verify", "--captures"]) == 0
    assert "removed    captures/T01.mkv" in capsys.readouterr().out


def test_a_finished_tape_needs_no_model_until_a_job_reads_it(copy):
    copy.path(DEMO_MODEL).unlink()
    assert nothing_to_do(copy)
    copy.path("results/T01/subtitles/0000050.srt").unlink()
    copy.path("results/T01/enhanced/0000050.mkv").unlink()
    copy.path("results/T01/T01.mkv").unlink()
    run = copy.run("all")
    assert run.exit_code == 1
    # Before the clip is cut and enhanced, which would be for nothing.
    assert not run.jobs
    assert "the speech model" in run.output
    assert "run `snakemake fetch_models`" in run.output


def test_a_tape_whose_capture_is_gone_fails_alone(copy):
    copy.path("captures/T01.mkv").unlink()
    copy.path("results/T01/enhanced/0000050.mkv").unlink()
    copy.path("results/T01/T01.mkv").unlink()
    run = copy.run("all")
    assert run.exit_code == 1
    assert "captures/T01.mkv" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"tape": "T02", "source": "nowhere.avi"}, "does not exist"),
        # Both the cell and the pattern that it does not match have braces.
        ({"tape": "T02", "source": "captures/T01.mkv", "aspect": "{wide}"}, "aspect"),
        ({"tape": "T/2", "source": "captures/T01.mkv"}, "T/2"),
        ({"tape": "T02", "source": ""}, "must not be empty"),
        ({"tape": "T02", "source": "captures/T01.mkv", "title": "A\u202eB"}, "may not stand there"),
        ({"tape": "T02", "source": "captures/T01.mkv", "aspect": "4:3\tand more"}, "more cells"),
    ],
)
def test_a_wrong_row_costs_its_tape(copy, row, word):
    copy.sheet(row, ROW)
    copy.path("results/T01/T01.mkv").unlink()
    run = copy.run("all")
    assert run.exit_code == 1
    assert run.jobs["mux_tape"] == 1
    assert word in run.output
    assert "row 2" in run.output
    assert "1 row of the tables cannot be used" in run.output
    # It is named as long as it is there, also when nothing else is left to do.
    again = copy.run("all")
    assert again.exit_code == 1
    assert not again.jobs
    assert copy.run("results/T01/T01.mkv").exit_code == 0


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("tape\tscene\tsharpen\nT99\t0000000\t0.5\n", "there is no tape 'T99'"),
        ("tape\tscene\tsharpen\nT01\t0000051\t0.5\n", "has no scene 0000051"),
        ("tape\tscene\tsharpen\nT01\t0000050\tmuch\n", "sharpen"),
    ],
)
def test_a_wrong_row_of_scene_settings_costs_at_most_its_tape(copy, table, word):
    shutil.copy(copy.path("captures/T01.mkv"), copy.path("captures/T02.mkv"))
    copy.path("config/scenes.tsv").write_text(table)
    copy.sheet(ROW, ROW | {"tape": "T02", "source": "captures/T02.mkv"})
    run = copy.run("results/T02/capture.json")
    assert run.exit_code == 0
    assert word in run.output
    assert copy.run("all").exit_code == 1
    assert copy.path("results/T02/T02.mkv").exists()


def test_a_row_for_a_scene_that_proves_not_to_be_there_is_named_at_the_end(copy):
    shutil.copy(copy.path("captures/T01.mkv"), copy.path("captures/T02.mkv"))
    copy.path("config/scenes.tsv").write_text("tape\tscene\tsharpen\nT02\t0000051\t0.5\n")
    copy.sheet(ROW, ROW | {"tape": "T02", "source": "captures/T02.mkv"})
    run = copy.run("all")
    assert run.exit_code == 1
    assert "has no scene 0000051" in run.output
    assert copy.path("results/T02/T02.mkv").exists()
