"""The report: its pages follow the tapes, agree with the summary, and show in a browser what they should."""

import json
import shutil
import stat
import zipfile

import pytest

from tapemill.events import log as events
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.browser import needs_browser
from tests.support.media import speech
from tests.support.media.frame_codes import make_capture
from tests.support.networks import compact
from tests.support.project import Project
from tests.support.report_page import (
    check_is_self_contained,
    open_menu,
    open_row,
    open_statistics,
    pages,
    view_report,
    wait_in,
)

PAGES = {"sample_report_frames": 1, "render_tape_report": 1, "render_run_report": 1}
DRAWN = {"render_tape_report": 1, "render_run_report": 1}
NAMES = ("before_after.html", "scenes.html", "subtitles.html", "quality.html", "making.html", "headlines.json")
HOSTILE = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> $x_1$ ``a`_ 夏"
NETWORK = "resources/models/mine.safetensors"
# A program that is ffmpeg, but for the one time that it is killed while it cuts the third scene.
KILLED_ONCE = """#!/bin/sh
case "$*" in
  *scenes/0000003*) [ -e "{mark}" ] || {{ touch "{mark}"; kill -9 $$; }} ;;
esac
exec "{ffmpeg}" "$@"
"""


def shown(project):
    top = project.path("results")
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("report/*") if path.is_file()}


def with_pages(project, **sections):
    project.configure(report={"pages": True, **sections.pop("report", {})}, **sections)


def test_pages_follow_a_finished_tape_once_and_are_small(copy):
    with_pages(copy)
    assert dict(copy.make("all").jobs) == PAGES
    found = shown(copy)
    assert set(found) == {f"T01/report/{name}" for name in (*NAMES, "sample.json")} | {"report/runs.html"}
    assert sum(map(len, found.values())) < 500_000
    assert not copy.make("all").jobs


@pytest.mark.long
def test_what_draws_the_pages_again_and_what_does_not(copy):
    with_pages(copy)
    copy.make("all")
    first = shown(copy)
    copy.path("captures/T01.mkv").touch()
    for path in [*copy.path("results/T01/enhanced").iterdir(), *copy.path("config").iterdir()]:
        if path.suffix != ".mkv":
            path.touch()
    shutil.rmtree(copy.path("events"))
    assert dict(copy.make("all").jobs) == {"check_capture": 1}
    copy.make("clean_tapes")
    assert not copy.make("all").jobs
    assert shown(copy) == first
    with_pages(copy, report={"stills": 2})
    assert dict(copy.make("all").jobs) == PAGES
    assert json.loads(copy.path("results/T01/report/headlines.json").read_text())["before_after"] == "2 places"
    # The same pictures and measures, and of the runs nothing is known any more.
    again = shown(copy)
    assert again["T01/report/scenes.html"] == first["T01/report/scenes.html"]
    assert "No events are left" in copy.path("results/T01/report/making.html").read_text()
    copy.path("results/T01/report/scenes.html").unlink()
    assert dict(copy.make("results/T01/report/scenes.html").jobs) == {"render_tape_report": 1}


@pytest.mark.long
def test_a_corrected_subtitle_reaches_its_page_and_makes_no_picture(copy):
    with_pages(copy)
    copy.make("all")
    clip = copy.path("results/T01/enhanced/0000050.mkv").stat().st_mtime_ns
    srt = copy.path("results/T01/subtitles/0000050.srt")
    srt.write_text("1\n00:00:00,200 --> 00:00:01,500\nWhat she <i>really</i> said\n\n")
    together = {"join_subtitles": 1, "mux_tape": 1, "write_provenance": 1}
    assert dict(copy.make("all").jobs) == together | PAGES
    assert copy.path("results/T01/enhanced/0000050.mkv").stat().st_mtime_ns == clip
    page = copy.path("results/T01/report/subtitles.html").read_text()
    assert "What she &lt;i&gt;really&lt;/i&gt; said" in page
    assert not copy.make("all").jobs


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A finished tape with speech, a scene that could not be restored, an attempt that failed, and a hostile title."""
    folder = tmp_path_factory.mktemp("troubled")
    project = Project(folder / "project")
    (project.folder / "scenes").mkdir()
    for number in range(3):
        speech.make_scene(project.path(f"scenes/{number + 1}.mkv"), speech.sentence(number % 2))
    program = folder / "ffmpeg"
    program.write_text(KILLED_ONCE.format(mark=folder / "mark", ffmpeg=ffmpeg.binary()))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    compact(project.path(NETWORK), bias=float("nan"))
    project.path("config/scenes.tsv").write_text(f"tape\tscene\tchain\nT_\t0000002\t[network: {{model: {NETWORK}}}]\n")
    project.sheet({"tape": "T_", "source": "scenes", "title": HOSTILE, "language": "en", "field_order": "progressive"})
    with_pages(project, ffmpeg=str(program))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        project.make("fetch_models")
        project.run_said = project.make("all").output
        project.make("all", "--report", str(folder / "report.html"))
        project.make("all", "--report", str(folder / "report.zip"))
    return project


@pytest.mark.long
def test_pages_summary_and_events_count_the_same(troubled):
    last = events.list_runs(troubled.path("events"))[-1]
    (ended,) = [event.facts for event in events.read_events(last, troubled.path("events")) if event.kind == "run_ended"]
    assert (ended["tried_again"], ended["attempts_lost"]) == (1, 1)
    assert len(ended["replaced"]) == 1
    assert "1 job tried again, then done" in troubled.run_said
    assert "1 scene could not be processed as requested" in troubled.run_said
    reason = ended["replaced"][0]["reason"]
    for name in ("T_/report/making.html", "report/runs.html"):
        page = troubled.path(f"results/{name}").read_text()
        assert reason in page
        assert "ToolKilled: ffmpeg was ended by SIGKILL" in page
    runs = troubled.path("results/report/runs.html").read_text()
    for count in ("<b>1</b> tried again, then done", "<b>1</b> scene not as asked", "<b>0</b> failed"):
        assert count in runs
    said = json.loads(troubled.path("results/T_/report/headlines.json").read_text())
    assert said["making"] == "1 scene not as asked, 1 failed attempt"


@pytest.mark.long
@needs_browser
def test_a_browser_shows_all_of_it_and_runs_nothing_of_strangers(troubled, tmp_path):
    report = troubled.folder.parent / "report.html"
    with view_report(report) as viewed:
        landing = viewed.page.locator("#app").inner_text()
        assert "Restored tapes" in landing
        assert "1 tape" in landing
        assert "1 scene not as asked, 1 failed attempt" in landing
        found = {page.name: page for page in pages(viewed, "Tapes", tmp_path)}
        found |= {page.name: page for page in pages(viewed, "Runs", tmp_path)}
        assert set(found) == {"Before and after", "How it was made", "Picture", "Scenes", "Subtitles", "Lanes and jobs"}
        for page in found.values():
            assert len(page.caption) > 60, page.name
            assert page.visible >= page.charts, page.name
            if page.name != "Lanes and jobs":
                assert HOSTILE in page.text, page.name
        assert found["Before and after"].images >= 3
        assert {name: page.charts for name, page in found.items() if page.charts} == {
            "How it was made": 1,
            "Picture": 1,
            "Subtitles": 1,
            "Lanes and jobs": 1,
        }
        assert found["Scenes"].images == 3
        assert "as on the capture" in found["Scenes"].text
        assert "dancing" in found["Subtitles"].text
        open_statistics(viewed)
        open_menu(viewed, "Workflow")
        assert viewed.page.title() == "Snakemake Report"
        check_is_self_contained(viewed, report)


@pytest.mark.long
@needs_browser
def test_before_and_after_obey_mouse_and_keys(troubled, tmp_path):
    with view_report(troubled.folder.parent / "report.html") as viewed:
        open_menu(viewed, "Tapes")
        frame, keyboard = open_row(viewed, 0), viewed.page.keyboard
        pairs = frame.locator("#pairs")

        def wait_for_split(percent):
            wait_in(frame, f"document.getElementById('split').value === '{percent}'")

        def chosen():
            return frame.evaluate("[...document.querySelectorAll('.pair')].findIndex((pair) => !pair.hidden)")

        wait_for_split(50)
        assert chosen() == 0
        size = pairs.bounding_box()
        pairs.click(position={"x": size["width"] / 4, "y": size["height"] / 2})
        wait_for_split(25)
        assert frame.evaluate("getComputedStyle(document.querySelector('.after')).clipPath").endswith("25%)")
        keyboard.press("ArrowRight")
        wait_for_split(27)
        keyboard.press("f")
        wait_for_split(100)
        keyboard.press("2")
        wait_in(frame, "!document.querySelectorAll('.pair')[1].hidden")
        keyboard.press("n")
        assert chosen() == 2
        assert not viewed.errors


@pytest.mark.long
def test_a_zip_holds_the_same_pages_as_files(troubled):
    with zipfile.ZipFile(troubled.folder.parent / "report.zip") as archive:
        names = archive.namelist()
    assert "report/report.html" in names
    assert sum(name.endswith(".html") for name in names) == len(NAMES) - 1 + 2


@pytest.mark.long
def test_what_is_finished_can_be_shown_after_a_tape_failed(copy):
    copy.path("letter.avi").write_text("not a film\n" * 50)
    rows = [{"tape": "A", "source": "letter.avi"}, {"tape": "T01", "source": "captures/T01.mkv", "title": "Counting"}]
    copy.sheet(*({**row, "language": "en", "field_order": "tff"} for row in rows))
    with_pages(copy)
    assert copy.run("all").exit_code != 0
    assert copy.path("results/T01/report/making.html").exists()
    assert not copy.path("results/report/runs.html").exists()
    assert dict(copy.make("report_finished").jobs) == {"render_finished_report": 1, "report_finished": 1}
    page = copy.path("results/report/so_far.html").read_text()
    assert "probe_capture" in page
    assert "<b>1</b> failed" in page
    assert "1 of them finished" in page
    copy.make("report_finished", "--report", str(copy.path("report.html")))
    told = copy.path("report.html").read_text()
    assert "results/T01/report/making.html" in told
    assert "results/report/so_far.html" in told


def test_a_small_capture_that_is_progressive_and_mp4(tmp_path):
    project = Project(tmp_path / "project")
    make_capture(project.path("a.mkv"), frames=3, size=(64, 64), sound_start_s=None, codec="ffv1")
    project.sheet({"tape": "T", "source": "a.mkv", "title": "Three", "field_order": "progressive", "language": "en"})
    with_pages(project, tape={"container": "mp4"})
    project.make("all")
    sample = json.loads(project.path("results/T/report/sample.json").read_text())
    assert len(sample["looks"]) == 3
    assert all("stills" in look for look in sample["looks"])
    page = project.path("results/T/report/making.html").read_text()
    assert "Three" in page
    assert "model for subtitles" in page
