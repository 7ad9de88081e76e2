from pathlib import Path

import pytest

from tapemill.config.tape_sheet import TapeRow
from tapemill.planning.snakemake_jobs import PlannedJob
from tapemill.planning.tasks import missing_jobs, tasks_of
from tapemill.workflow.tape import TapeState
from tapemill.workflow.workload import SceneLoad, TapeLoad

IDS = [f"{number:07d}" for number in range(0, 1000, 100)]
TAPE_RULES = ("probe_capture", "detect_scenes", "clean_sound", "join_subtitles", "mux_tape")


def load(*, known=True, ids=IDS):
    scenes = tuple(SceneLoad(id, 4.0) for id in ids)
    return TapeLoad(scenes, known, True, samples_share=1.0, frames_per_s=25.0, output_frames_per_frame=2)


def planned(*rules, scene="", to_do=True):
    return [PlannedJob(rule, "stage", "T", scene, to_do) for rule in rules]


def tasks(jobs, of=None, **how):
    return tasks_of(jobs, {"T": of or load()}, language_scenes=3, **how)


def counts(found):
    return {rule: sum(task.rule == rule for task in found) for rule in {task.rule for task in found}}


def test_what_is_done_is_no_task():
    assert not tasks(planned(*TAPE_RULES, to_do=False))


def test_before_the_scenes_are_found_theirs_are_estimated(tmp_path):
    found = tasks(planned(*TAPE_RULES), load(known=False), results=tmp_path)
    number = counts(found)
    assert number["cut_scene"] == number["enhance_scene"] == number["extract_audio"] == len(IDS)
    assert number["transcribe_scene"] == len(IDS)
    assert all(task.is_estimate == bool(task.scene) for task in found)


def test_only_what_follows_from_the_checkpoint_is_to_come(tmp_path):
    # The picture is there, a setting of the detection was changed.
    (tmp_path / "T/enhanced").mkdir(parents=True)
    for id in IDS[:4]:
        (tmp_path / f"T/enhanced/{id}.mkv").touch()
    found = tasks(planned("detect_scenes", "mux_tape"), results=tmp_path)
    assert counts(found) == {"detect_scenes": 1, "mux_tape": 1, "cut_scene": 6, "enhance_scene": 6}


def test_a_vote_on_the_language_hears_some_scenes_and_all_wait_for_it(tmp_path):
    jobs = planned("detect_language", "join_subtitles", "mux_tape")
    for id in IDS:
        jobs += planned("extract_audio", "transcribe_scene", scene=id)
    found = {task.key: task for task in tasks(jobs, results=tmp_path)}
    assert len(found) == len(jobs)
    vote = found["detect_language", "T", ""]
    assert [rule for rule, _, _ in vote.after] == ["extract_audio"] * 3
    for id in IDS:
        assert set(found["transcribe_scene", "T", id].after) == {vote.key, ("extract_audio", "T", id)}


def test_a_scene_waits_for_its_own_and_the_tape_for_all(tmp_path):
    jobs = planned("mux_tape", "clean_sound")
    for id in IDS:
        jobs += planned("cut_scene", "enhance_scene", scene=id)
    found = {task.key: task for task in tasks(jobs, results=tmp_path)}
    assert found["enhance_scene", "T", IDS[3]].after == (("cut_scene", "T", IDS[3]),)
    assert len(found["mux_tape", "T", ""].after) == len(IDS) + 1
    assert found["cut_scene", "T", IDS[3]].after == ()


def test_the_demo_is_probed_when_it_is_there():
    jobs = [*planned("probe_capture"), PlannedJob("make_demo_capture", "demo", "", "", True)]
    probe = next(task for task in tasks(jobs, results=Path("nowhere")) if task.rule == "probe_capture")
    assert probe.after == (("make_demo_capture", "", ""),)


@pytest.mark.parametrize(("unit", "expected"), [("video", 4.0), ("frames", 200.0), ("audio", 4.0), ("once", 0.0)])
def test_work_of_576i(unit, expected):
    assert load().units(unit, 4.0) == pytest.approx(expected)


def test_ntsc_is_as_much_work_a_second_and_a_quarter_of_the_samples_a_quarter():
    ntsc = TapeLoad((), True, True, 720 * 480 / (720 * 576), 30000 / 1001, 2)
    assert ntsc.units("video", 10.0) == pytest.approx(10.0, rel=0.01)
    small = TapeLoad((), True, True, 0.25, 25.0, 2)
    assert small.units("frames", 4.0) == pytest.approx(50.0)


def test_a_scene_of_unknown_length_is_as_long_as_the_mean():
    assert load().video_of("new") == pytest.approx(4.0)
    assert load().video_of("") == pytest.approx(40.0)


def test_what_a_tape_in_the_queue_lacks_is_told_by_its_files(tmp_path):
    """Of a folder of three scenes."""
    takes = tmp_path / "takes"
    takes.mkdir()
    for number in (1, 2, 3):
        (takes / f"{number}.avi").touch()
    lookup = TapeState(TapeRow("T", takes, "", "", "en", "auto", "auto"), tmp_path / "results")
    first, second, _ = lookup.folder
    for name in ("capture.json", "sound.mka", f"enhanced/{first}.mkv", f"subtitles/{first}.srt", f"audio/{second}.wav"):
        path = tmp_path / "results/T" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [job.rule for job in missing_jobs(lookup, "mkv")]
    assert {rule: found.count(rule) for rule in found} == {
        "hash_capture": 1,
        "join_subtitles": 1,
        "mux_tape": 1,
        "write_provenance": 1,
        "cut_scene": 2,
        "enhance_scene": 2,
        "extract_audio": 1,
        "transcribe_scene": 2,
    }
    (tmp_path / "results/T/T.mkv").touch()
    assert missing_jobs(lookup, "mkv") == []
