import pytest
from prometheus_client.parser import text_string_to_metric_families

from tapemill.cli.main import main
from tapemill.events import prometheus
from tapemill.events.run_state import RunState
from tests.support.event_script import RUN, START, Script

LANES = [{"name": "xpu0", "kind": "xpu", "jobs": 2}, {"name": "xpu1", "kind": "xpu", "jobs": 2}]


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Script(tmp_path)
    script.begin({"T01": {"cut_scene": 3, "enhance_scene": 3}}, lanes=LANES)
    script.job(0, 2, "cut_scene", scene="1", outcome="failed")
    script.job(2, 5, "cut_scene", scene="1", attempt=2, frames=50)
    for scene, lane, peak in (("1", "xpu0", 100), ("2", "xpu0", 300), ("3", "xpu1", 200)):
        notices = [{"kind": "kept", "reason": "SceneError: corrupt", "scene": ""}] if scene == "3" else []
        script.job(
            *(5, 15, "enhance_scene"), scene=scene, lane=lane, frames=100, peak_memory_bytes=peak, notices=notices
        )
    script.write(4, "worker_started", lane="xpu0", pid=1, seconds=2.5)
    return script


def read(text):
    """Families by name, and samples by name and labels."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    return families, samples


def now():
    run_state = RunState(RUN)
    run_state.update()
    return read(prometheus.format_metrics(run_state))


def test_each_metric_is_explained_and_named_by_the_rules(script):
    families, _ = now()
    assert families
    for name, family in families.items():
        assert name.startswith("tapemill_")
        assert family.documentation
        assert family.type in {"gauge", "counter"}
        if family.type == "counter":
            assert all(sample.name == f"{name}_total" for sample in family.samples)


def test_jobs_lanes_and_troubles_are_counted(script):
    _, samples = now()
    cut, enhance = ({"stage": "scenes", "rule": "cut_scene"}, {"stage": "enhance", "rule": "enhance_scene"})

    def value(name, **labels):
        return samples[(f"tapemill_{name}", *sorted(labels.items()))]

    assert value("run_info", run=RUN) == 1
    assert value("run_state", state="active") == 1
    assert value("run_state", state="killed") == 0
    assert value("run_start_timestamp_seconds") == START.timestamp()
    assert value("jobs", **cut, tape="T01", state="done") == 1
    assert value("jobs", **cut, tape="T01", state="to_do") == 2
    assert value("attempts_total", **cut, outcome="failed") == 1
    assert value("retries_total", **cut) == 1
    assert value("jobs_tried_again_total") == value("attempts_lost_total") == 1
    assert value("scenes_replaced", kind="kept", tape="T01") == 1
    assert value("frames_total", **enhance) == 300
    assert value("work_seconds_total", **cut) == 5
    assert value("lane_frames_total", lane="xpu0", rule="enhance_scene") == 200
    assert value("lane_work_seconds_total", lane="xpu1", rule="enhance_scene") == 10
    assert value("lane_peak_memory_bytes", lane="xpu0") == 300
    assert value("lane_worker_starts_total", lane="xpu0") == 1
    assert value("lane_busy", lane="xpu1") == 0
    script.job(20, None, "enhance_scene", scene="4", lane="xpu1")
    script.end(30, is_ok=False)
    _, samples = now()
    assert value("run_success") == 0
    assert value("lane_busy", lane="xpu1") == 0
    assert value("jobs_interrupted") == 1


def test_names_with_any_character_survive(tmp_path, script):
    script.job(0, 1, "cut_scene", tape='quote"back\\slash', scene="1")
    _, samples = now()
    labels = {"stage": "scenes", "rule": "cut_scene", "tape": 'quote"back\\slash', "state": "done"}
    assert samples[("tapemill_jobs", *sorted(labels.items()))] == 1


def test_the_file_is_written_whole_and_the_command_prints_the_same(tmp_path, script, capsys):
    script.end(30)
    run_state = RunState(RUN)
    run_state.update()
    prometheus.write_metrics(run_state)
    assert [path.name for path in (tmp_path / "events").iterdir() if path.suffix != ".jsonl"] == ["metrics.prom"]
    assert main(["metrics"]) == 0
    assert capsys.readouterr().out == prometheus.METRICS_FILE.read_text()
    assert main(["metrics", "no such run"]) == 78
    assert "no runs here begin with no such run" in capsys.readouterr().err
