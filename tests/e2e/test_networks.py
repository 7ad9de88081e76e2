"""Networks in the real workflow: a file of one's own, settings of single scenes, warm lanes."""

import hashlib
import json

import pytest

from tapemill.media.probe import probe
from tests.support.media.frame_codes import make_capture, read_numbers
from tests.support.networks import compact, vrt
from tests.support.project import Project

MODEL = "resources/models/mine.safetensors"
CHAIN = ["denoise", {"network": {"model": MODEL}}]
LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2", "gpu1=2")


@pytest.fixture
def project(copy, tmp_path, monkeypatch):
    """The finished tape, with a network of one's own asked for."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    compact(copy.path(MODEL), gain=0.05)
    copy.configure(enhance={"chain": CHAIN})
    return copy


def clips(project):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in project.path("results/T01/enhanced").glob("*.mkv")
    }


@pytest.mark.long
def test_a_network_of_ones_own_is_pinned_used_and_replaced_knowingly(project):
    refused = project.run("all")
    assert refused.exit_code != 0
    assert "run `snakemake fetch_models`" in refused.output
    assert not refused.jobs
    project.make("fetch_models")
    before = clips(project)
    assert dict(project.make("all").jobs) == {"cut_scene": 4, "enhance_scene": 4, "mux_tape": 1, "write_provenance": 1}
    assert not set(before.values()) & set(clips(project).values())
    record = json.loads(project.path("results/T01/enhanced/0000050.json").read_text())
    assert [each["model"] for each in record["networks"]] == [MODEL]
    assert not project.make("all").jobs
    # Another file under the same name.
    compact(project.path(MODEL), gain=0.1)
    assert not project.make("all").jobs
    project.path("results/T01/enhanced/0000050.mkv").unlink()
    project.path("results/T01/T01.mkv").unlink()
    refused = project.run("all")
    assert refused.exit_code != 0
    assert "not the one that was pinned" in refused.output


@pytest.mark.long
def test_a_scene_of_its_own_is_made_again_alone(project):
    project.make("fetch_models")
    project.make("all")
    before = clips(project)
    table = project.path("config/scenes.tsv")
    table.write_text("tape\tscene\tchain\nT01\t0000050\t[denoise, sharpen]\n")
    assert dict(project.make("all").jobs) == {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    after = clips(project)
    assert {name for name in after if after[name] != before[name]} == {"0000050.mkv"}
    assert "networks" not in json.loads(project.path("results/T01/enhanced/0000050.json").read_text())
    table.write_text("tape\tscene\tchain\nT01\t0000051\t[denoise]\n")
    refused = project.run("all")
    assert refused.exit_code != 0
    assert "no scene 0000051" in refused.output


@pytest.mark.long
def test_warm_lanes_make_the_same_clips_as_single_processes(project):
    project.make("fetch_models")
    project.configure(enhance={"chain": CHAIN}, lanes={"warm": False})
    project.make("all")
    cold = clips(project)
    for path in project.path("results/T01/enhanced").glob("*"):
        path.unlink()
    project.path("results/T01/T01.mkv").unlink()
    project.configure(enhance={"chain": CHAIN})
    assert project.make("all", *LANES, cores=4).jobs["enhance_scene"] == 4
    assert clips(project) == cold


@pytest.mark.long
def test_best_is_vrt_and_a_frame_model_that_enlarges(tmp_path, monkeypatch):
    """The denoiser as large as its makers' checkpoint, with weights that change nothing."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    project = Project(tmp_path / "project")
    truth = make_capture(project.path("T01.mkv"), frames=7, interlaced=None, size=(96, 64))
    project.sheet({"tape": "T01", "source": "T01.mkv", "language": "en", "field_order": "progressive"})
    vrt(project.path("resources/models/denoise.pth"))
    compact(project.path("resources/models/double.safetensors"), scale=2)
    models = {"vrt_model": "resources/models/denoise.pth", "frame_model": "resources/models/double.safetensors"}
    project.configure(enhance={"preset": "best", **models})
    project.make("fetch_models")
    assert project.make("all", *LANES, cores=4).jobs["enhance_scene"] == 1
    record = json.loads(project.path("results/T01/enhanced/0000000.json").read_text())
    assert [(each["model"], each["scale"]) for each in record["networks"]] == [
        (models["vrt_model"], 1),
        (models["frame_model"], 2),
    ]
    tape = project.path("results/T01/T01.mkv")
    picture = probe(tape).picture
    assert (picture.width, picture.height) == (192, 128)
    assert [reading.number for reading in read_numbers(tape)] == truth.shown(7)


@pytest.mark.parametrize(
    ("enhance", "told"),
    [
        ({"preset": "good", "frame_model": "realesrgan-x2plus-"}, "did you mean"),
        ({"chain": ["resize", {"network": {"model": MODEL}}]}, "a network must come before resize"),
        ({"chain": [{"network": {"model": "demo-en"}}]}, "speech"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(project, enhance, told):
    project.configure(enhance=enhance)
    refused = project.run("all")
    assert refused.exit_code != 0
    assert told in refused.output
    assert not refused.jobs
