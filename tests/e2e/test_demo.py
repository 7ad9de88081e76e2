"""The demo tape, from its committed sources to its score."""

import json
import shutil

import pytest

from running import ROOT, Project
from tapemill.demo import SCENES


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("demo") / "project")
    names = ("config/config.yaml", "config/tapes.tsv", "resources/demo/speech.flac", "resources/demo/speech.tsv")
    for name in (*names, "resources/models/demo-compact.safetensors"):
        project.path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project.path(name))
    project.make("results/demo/score.json")
    return project


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
