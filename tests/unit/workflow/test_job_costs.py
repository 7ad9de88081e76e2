"""Expected times of jobs, as the scheduler and the plan get them."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.core.timing import FrameRange
from tapemill.enhance import SceneSettings
from tapemill.lanes.assignment import JobRequest
from tapemill.media.capture_info import AudioTrackInfo, Capture, SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.planning import estimate as estimate_module
from tapemill.planning.estimate import estimate
from tapemill.planning.snakemake_jobs import PlannedJob
from tapemill.scenes import Scene
from tapemill.scenes.table import write_scenes
from tapemill.storage.atomic import write_json
from tapemill.workflow.job_costs import JobCosts
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState
from tests.support.project import ROOT
from tests.support.records import clip_record, network_run, write_record

PICTURE = VideoInfo(
    720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", Colour("bt470bg", "bt470bg", "bt470bg", "tv")
)
SHORT, LONG = "0000000", "0000450"
LANES = RunOptions("Snakefile", ["MTIME"], cores=8, lanes={"gpu0": 2}, device="xpu")
SCENE_RULES = ("cut_scene", "extract_audio", "transcribe_scene", "enhance_scene")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A tape with a short scene that goes through a network, and a long one that does not."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    for name in ("models.yaml", "models.lock"):
        Path("config", name).write_bytes((ROOT / "config" / name).read_bytes())
    Path("tape.mkv").write_bytes(b"tape")
    Path("overrides.tsv").write_text(f"tape\tscene\tchain\nT\t{SHORT}\t[{{network: {{model: {tmp_path}/net.pth}}}}]\n")
    config = load_config({"subtitles": {"model": "small"}})
    enhance = SceneSettings.planned({**config["enhance"], "overrides": "overrides.tsv"}, ["T"])
    state = TapeState(TapeRow("T", Path("tape.mkv"), "T", "", "auto", "tff", "auto"))
    taken = SourceFileInfo(Fraction(25), 0, Fraction(1, 1000), 1200, 1200, 0, 0, False, "a.mkv", 0)
    sounds = (AudioTrackInfo(2, "pcm_s16le", 48_000, 2, "", ""),)
    write_json(
        state.paths.capture_record,
        Capture(kind="file", takes=(taken,), picture=PICTURE, sounds=sounds, notes={}).to_plain(),
    )
    spans = {SHORT: FrameRange(0, 450), LONG: FrameRange(450, 1200)}
    write_scenes([Scene(id, span, PICTURE.rate) for id, span in spans.items()], state.paths.scene_table)
    return SimpleNamespace(config=config, enhance=enhance, state=state)


def benchmark(rule, scene, seconds, networks=()):
    path = Path("benchmarks", rule, "T", f"{scene}.tsv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t1.0\n")
    if rule == "enhance_scene":
        runs = tuple(network_run(sha256=sha256) for sha256 in networks)
        write_record(Path("results/T/enhanced", f"{scene}.json"), clip_record(networks=runs))


def params(project, scene):
    return JobParams(project.state, scene, lambda: project.state.scene_table, project.enhance)


def expected_s(project, rule, scene, *, has_gpus=True):
    """The resource of a job, as Snakemake evaluates it."""
    costs = JobCosts({"T": project.state}, project.enhance, project.config, lambda: has_gpus)
    function = costs.resource_function(lambda wildcards: params(project, wildcards.scene))
    return function(SimpleNamespace(scene=scene), rule)


def scheduler_order(project, rules):
    """Scene jobs in the order in which the scheduler starts them."""
    requests = [
        JobRequest(
            key=f"{rule} {scene}",
            rule=rule,
            priority=1 if rule == "enhance_scene" else 0,
            expected_s=expected_s(project, rule, scene),
            needs={},
            input_bytes=0,
            max_lanes=0,
            lane=None,
            failed_at=frozenset(),
        )
        for rule in rules
        for scene in (SHORT, LONG)
    ]
    return [request.key for request in sorted(requests, key=lambda request: request.order)]


def plan_order(project, rules, monkeypatch):
    """Scene jobs in the order of the plan's simulation."""
    seen = []

    def record(timed, **how):
        seen.extend(timed)
        return simulate(timed, **how)

    simulate = estimate_module.simulate
    monkeypatch.setattr(estimate_module, "simulate", record)
    jobs = [PlannedJob(rule, "", "T", scene, True) for rule in SCENE_RULES for scene in (SHORT, LONG)]
    estimate(jobs, {"T": project.state}, project.enhance, project.config, LANES)
    monkeypatch.setattr(estimate_module, "simulate", simulate)
    chosen = [each for each in seen if each.task.rule in rules]
    return [f"{each.task.rule} {each.task.scene}" for each in sorted(chosen, key=lambda each: each.order)]


def test_longer_scenes_take_longer_and_a_vote_needs_no_scene(project):
    for rule in ("cut_scene", "transcribe_scene"):
        assert 1 <= expected_s(project, rule, SHORT, has_gpus=False) < expected_s(project, rule, LONG, has_gpus=False)
    for rule in ("detect_language", "choose_encoder"):
        assert isinstance(expected_s(project, rule, None), int)
    assert expected_s(project, "detect_language", None) > expected_s(project, "choose_encoder", None) > 0


def test_a_missing_scene_table_is_reported_in_the_way_of_snakemake(project):
    project.state.paths.scene_table.unlink()
    with pytest.raises(FileNotFoundError):
        expected_s(project, "transcribe_scene", SHORT)


def test_a_network_makes_a_scene_take_longer(project):
    # 18 s with a network, 30 s without.
    assert expected_s(project, "enhance_scene", SHORT) > expected_s(project, "enhance_scene", LONG)


def test_the_plan_simulates_the_order_of_the_scheduler(project, monkeypatch):
    by_default = scheduler_order(project, ["enhance_scene"])
    assert by_default == [f"enhance_scene {SHORT}", f"enhance_scene {LONG}"]
    assert plan_order(project, ["enhance_scene"], monkeypatch) == by_default
    network = params(project, SHORT).networks[0].sha256
    with_gpu = {"device_uuid": "x"}
    benchmark("enhance_scene", SHORT, 3.0, [network])
    benchmark("enhance_scene", LONG, 60.0)
    tell(SHORT, **with_gpu)
    measured = scheduler_order(project, ["enhance_scene"])
    assert plan_order(project, ["enhance_scene"], monkeypatch) == measured == by_default[::-1]


def test_both_take_the_same_seconds(project):
    benchmark("cut_scene", LONG, 99.0)
    costs = JobCosts({"T": project.state}, project.enhance, project.config, lambda: False)
    seconds = costs.seconds_if_known("cut_scene", "T", LONG)
    assert seconds == pytest.approx(99.0)
    assert expected_s(project, "cut_scene", LONG, has_gpus=False) == 99
    assert costs.measured_jobs == 1


def test_what_is_not_known_yet_has_no_time(project):
    costs = JobCosts({"T": project.state}, project.enhance, project.config, lambda: False)
    assert costs.seconds_if_known("render_run_report", "runs", "") > 0
    assert costs.seconds_if_known("cut_scene", "other", LONG) is None
    project.state.paths.capture_record.unlink()
    assert costs.seconds_if_known("cut_scene", "T", LONG) is None


def test_nothing_is_read_before_a_time_is_requested(project, monkeypatch):
    monkeypatch.setattr("tapemill.workflow.benchmarks.measured_jobs", lambda *_, **__: pytest.fail("read at once"))
    costs = JobCosts({"T": project.state}, project.enhance, project.config, lambda: pytest.fail("asked at once"))
    assert callable(costs.resource_function(lambda wildcards: None))


def tell(scene, **facts):
    """Events of a finished enhancement at a GPU."""
    job = {"rule": "enhance_scene", "tape": "T", "scene": scene, "log": f"logs/enhance_scene/T/{scene}.log"}
    path = Path("events/20261121T120000Z-host-1.host.jsonl")
    path.parent.mkdir(exist_ok=True)
    lines = [{"event": "job_started", "attempt": 1}, {"event": "job_done", "attempt": 1, **facts}]
    time = "2026-11-21T12:00:00.000+00:00"
    path.write_text("".join(json.dumps({"time": time, "run": path.name, **job, **line}) + "\n" for line in lines))
