"""The demo tape, from its committed sources to its score."""

import json
import shutil
from dataclasses import asdict

import pytest
import yaml

from demo import SCENES
from demo.score import measure_similarity
from tests.support.browser import needs_browser
from tests.support.project import ROOT, Project
from tests.support.report_page import check_is_self_contained, open_statistics, pages, view_report

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("demo") / "project")
    names = ("config/config.yaml", "config/tapes.tsv", "resources/demo/speech.flac", "resources/demo/speech.tsv")
    for name in (*names, "resources/models/demo-compact.safetensors"):
        project.path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project.path(name))
    # The whole tape by filters, which is quick; one scene by what the demo's config asks for, below.
    set_preset(project, "fast")
    project.make("all")
    return project


def set_preset(project, preset):
    path = project.path("config/config.yaml")
    config = yaml.safe_load(path.read_text())
    config["enhance"]["preset"] = preset
    path.write_text(yaml.safe_dump(config))


def test_words_are_right_and_the_picture_is_nearer_the_truth_than_the_capture(demo):
    score = json.loads(demo.path("results/demo/score.json").read_text())
    assert score["word_error_rate"] <= 0.08
    assert max(abs(error) for error in score["start_errors_s"]) <= 0.2
    for measure, value in score["capture"].items():
        assert score["restored"][measure] > value, measure


def test_the_planned_scenes_are_found(demo):
    borders = [int(line.split("\t")[1]) for line in demo.path("results/demo/scenes.tsv").read_text().splitlines()[1:]]
    planned = [scene.span.start_frame for scene in SCENES]
    assert all(min(abs(border - start) for border in borders) <= 1 for start in planned)
    long = next(scene for scene in SCENES if scene.span.frames > 750)
    assert len([b for b in borders if long.span.start_frame < b < long.span.stop_frame]) == 1


def test_all_has_nothing_left_to_do(demo):
    assert not demo.make("all").jobs


@needs_browser
def test_the_report_of_the_demo_shows_every_figure_in_a_browser(demo):
    report = demo.path("report.html")
    demo.make("all", "--report", str(report))
    score = json.loads(demo.path("results/demo/score.json").read_text())
    with view_report(report) as viewed:
        landing = viewed.page.locator("#app").inner_text()
        assert "10 scenes, 1.0 min" in landing
        assert "all as asked" in landing
        found = {page.name: page for page in (*pages(viewed, "Tapes"), *pages(viewed, "Runs"))}
        open_statistics(viewed)
        check_is_self_contained(viewed, report)
    assert {name: (page.charts, page.images) for name, page in found.items()} == {
        "Before and after": (0, 15),
        "How it was made": (1, 1),
        "Picture": (1, 1),
        "Scenes": (0, 10),
        "Subtitles": (1, 1),
        "Lanes and jobs": (1, 1),
    }
    assert all("A summer with the family" in page.text for name, page in found.items() if name != "Lanes and jobs")
    for like in ("capture", "restored"):
        assert f"{score[like]['psnr_y_db']:.2f} dB" in found["Picture"].text
    assert f"{100 * score['word_error_rate']:.1f} %" in found["Subtitles"].text
    assert report.stat().st_size < 6_000_000


def test_the_network_that_comes_along_brings_the_picture_nearer_to_the_truth(demo):
    clip = demo.path("results/demo/enhanced/0000000.mkv")
    found = {}
    for preset in ("fast", "good"):
        if preset == "good":
            set_preset(demo, preset)
            demo.make("results/demo/enhanced/0000000.mkv")
        found[preset] = measure_similarity(
            clip, demo.path("resources/demo/truth.mkv"), prepare="format=yuv420p", height=566
        )
    for measure, value in asdict(found["fast"]).items():
        assert asdict(found["good"])[measure] > value, measure
    assert found["good"].psnr_y_db > found["fast"].psnr_y_db + 1
