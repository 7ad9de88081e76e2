import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tapemill.events import log as events
from tapemill.records.common import Failure
from tapemill.records.subtitles import SubtitleRecord
from tapemill.workflow import benchmarks
from tapemill.workflow.cost_model import Measurement
from tapemill.workflow.workload import SceneLoad, TapeLoad
from tests.support.records import asr_inputs, clip_record, network_run, write_record

A, B = "0000000", "0000100"
LOADS = {"T": TapeLoad((SceneLoad(A, 4.0), SceneLoad(B, 8.0)), True, True, 1.0, 25.0, 2)}
START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def benchmark(rule, seconds, tape="T", scene="", *, when=1):
    path = Path("benchmarks", rule, tape, f"{scene}.tsv") if scene else Path("benchmarks", rule, f"{tape}.tsv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t1.0\n")
    os.utime(path, (when, when))


def record(name, content):
    write_record(Path("results/T", name), content)


def enhanced(scene, *sha256, encoder="libx264", **more):
    # Records of filters alone do not speak of networks.
    networks = tuple(network_run(sha256=each) for each in sha256)
    record(f"enhanced/{scene}.json", clip_record(encoder_asked=encoder, networks=networks, **more))


def told(scene, start_s, stop_s, *, rule="transcribe_scene", **facts):
    """Events of a job that ended well."""
    job = {"rule": rule, "tape": "T", "scene": scene, "log": f"logs/{rule}/T/{scene}.log", "attempt": 1}
    path = Path("events/20261121T120000Z-host-1.host.jsonl")
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        for kind, at_s, more in (("job_started", start_s, {}), ("job_done", stop_s, facts)):
            time = (START + timedelta(seconds=at_s)).isoformat(timespec="milliseconds")
            stream.write(json.dumps({"time": time, "run": path.name, "event": kind, **job, **more}) + "\n")


def found(*, has_gpus=False):
    return benchmarks.measured_jobs(LOADS.get, has_gpus=has_gpus)


def heard(scene, sha256="m"):
    record(f"subtitles/{scene}.json", SubtitleRecord(made_from=asr_inputs(model_sha256=sha256)))


def plain(rule, planned=None, **how):
    """Samples of a rule, the newest file first."""
    return benchmarks.matching(found(**how).get(rule, ()), planned or {})


def test_jobs_come_with_their_work():
    benchmark("cut_scene", 3.5, scene=A)
    benchmark("cut_scene", 6.5, scene=B)
    benchmark("detect_scenes", 13.0)
    assert set(found()) == {"cut_scene", "detect_scenes"}
    assert plain("cut_scene") == [Measurement(8.0, 6.5), Measurement(4.0, 3.5)]
    assert plain("detect_scenes") == [Measurement(12.0, 13.0)]


def test_other_networks_encoders_and_models_are_kept_apart():
    for scene, networks, encoder, seconds in ((A, (), "libx264", 10.0), (B, ("n",), "libx265", 20.0)):
        benchmark("enhance_scene", seconds, scene=scene)
        enhanced(scene, *networks, encoder=encoder)
        benchmark("transcribe_scene", seconds, scene=scene)
        heard(scene, sha256=f"model {scene}")
    assert plain("enhance_scene", {"networks": (), "encoder": "libx264", "names": ()}) == [Measurement(200.0, 10.0)]
    assert plain("enhance_scene", {"networks": ("n",), "encoder": "libx265", "names": ("N",)}) == [
        Measurement(400.0, 20.0)
    ]
    assert not plain("enhance_scene", {"networks": (), "encoder": "libx265", "names": ()})
    assert plain("transcribe_scene", {"model": f"model {B}", "names": ("b",)}) == [Measurement(8.0, 20.0)]


def test_what_was_not_done_as_planned_says_nothing():
    benchmark("enhance_scene", 10.0, scene=A)
    enhanced(A, kept_original=Failure("SceneError", "no network can do this"))
    benchmark("transcribe_scene", 10.0, scene=A)
    record(f"subtitles/{A}.json", SubtitleRecord(left_empty=Failure("SceneError", "no sound")))
    benchmark("cut_scene", 3.0, tape="not_in_the_sheet", scene=A)
    Path("benchmarks/probe_capture").mkdir()
    Path("benchmarks/probe_capture/T.tsv").write_text("cut off")
    assert not found()


def test_without_a_record_the_events_tell_which_models_were_used():
    benchmark("enhance_scene", 10.0, scene=A)
    told(A, 0, 10, rule="enhance_scene", model=["denoiser"])
    planned = {"networks": ("n",), "encoder": "libx264", "names": ("denoiser",)}
    assert plain("enhance_scene", planned) == [Measurement(200.0, 10.0)]
    assert not plain("enhance_scene", planned | {"names": ()})


def test_where_nothing_tells_how_it_was_done_it_counts_if_nothing_better_is_known():
    planned = {"networks": (), "encoder": "libx264", "names": ()}
    benchmark("enhance_scene", 10.0, scene=A)
    assert plain("enhance_scene", planned) == [Measurement(200.0, 10.0)]
    benchmark("enhance_scene", 30.0, scene=B)
    enhanced(B)
    assert plain("enhance_scene", planned) == [Measurement(400.0, 30.0)]


def test_scenes_of_a_tape_that_was_deleted_have_the_lengths_that_their_names_say():
    gone = {"T": TapeLoad((SceneLoad("unknown 0", 12.0),), False, False, 1.0, 25.0, 2)}
    for scene, seconds in ((A, 3.5), (B, 6.5)):
        benchmark("cut_scene", seconds, scene=scene)
    benchmark("detect_scenes", 13.0)
    cuts, detected = (benchmarks.matching(benchmarks.measured_jobs(gone.get, has_gpus=False)[rule], {}) for rule in
                      ("cut_scene", "detect_scenes"))  # fmt: skip
    assert cuts == [Measurement(8.0, 6.5), Measurement(4.0, 3.5)]
    assert detected == [Measurement(12.0, 13.0)]


def test_scenes_that_were_divided_otherwise_by_now_are_left_out():
    benchmark("cut_scene", 6.5, scene=B)
    benchmark("cut_scene", 99.0, scene="0000150")
    assert plain("cut_scene") == [Measurement(8.0, 6.5)]


def test_waiting_at_a_lane_is_no_work():
    for scene, seconds in ((A, 4.0), (B, 9.0)):
        benchmark("transcribe_scene", seconds, scene=scene)
        heard(scene)
    told(A, 0, 4, lane="gpu0")
    told(B, 1, 10, lane="gpu0")
    assert plain("transcribe_scene", {"model": "m"}) == [Measurement(8.0, 6.0), Measurement(4.0, 4.0)]


def test_other_lanes_make_nobody_wait():
    for scene in (A, B):
        benchmark("transcribe_scene", 9.0, scene=scene)
        heard(scene)
    told(A, 0, 9, lane="gpu0")
    told(B, 0, 9, lane="gpu1")
    assert [sample.seconds for sample in plain("transcribe_scene", {"model": "m"})] == [9.0, 9.0]


def test_cores_say_nothing_of_cards_and_the_reverse():
    benchmark("transcribe_scene", 9.0, scene=A)
    told(A, 0, 9, lane="gpu0", device_uuid="of a card")
    benchmark("cut_scene", 2.0, scene=A)
    told(A, 0, 2, rule="cut_scene")
    assert set(found(has_gpus=True)) == {"transcribe_scene", "cut_scene"}
    assert set(found(has_gpus=False)) == {"cut_scene"}


def test_the_newest_files_count(monkeypatch):
    monkeypatch.setattr(benchmarks, "NEWEST_FILES", 1)
    benchmark("cut_scene", 99.0, scene=A, when=1)
    benchmark("cut_scene", 3.0, scene=B, when=2)
    assert plain("cut_scene") == [Measurement(8.0, 3.0)]


def test_events_of_jobs_that_failed_are_passed_over():
    told(A, 0, 4, lane="gpu0", device_uuid="of a card")
    path = next(Path("events").iterdir())
    path.write_text(path.read_text().replace("job_done", "job_failed") + "half a li")
    benchmark("transcribe_scene", 9.0, scene=A)
    assert plain("transcribe_scene", {"model": "m"}) == [Measurement(4.0, 9.0)]
    assert events.list_runs()
