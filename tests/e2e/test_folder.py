"""A folder of ready scenes: natural order, no checkpoint before the plan, sound joined to the sample."""

from fractions import Fraction

from tests.support.media.frame_codes import beep_times, make_capture, read_numbers
from tests.support.project import Project


def test_a_folder_of_ready_scenes_becomes_a_tape(tmp_path):
    project = Project(tmp_path / "project")
    folder = project.path("my scenes")
    folder.mkdir()
    names = ["clip 9.mkv", "clip 10.mkv", "it's the last {1}.mkv"]
    truths = [
        make_capture(folder / name, frames=count, size=(360, 288))
        for name, count in zip(names, (33, 50, 41), strict=True)
    ]
    project.sheet({"tape": "T", "source": "my scenes", "language": "en", "field_order": "progressive"})
    plan = project.run("all", "-n")
    assert plan.exit_code == 0, plan.output
    assert "checkpoint" not in plan.output
    jobs = project.make("all").jobs
    assert jobs["cut_scene"] == jobs["enhance_scene"] == jobs["transcribe_scene"] == len(names)
    assert not jobs["detect_scenes"]
    tape = project.path("results/T/T.mkv")
    numbers = [number for truth in truths for number in truth.numbers(range(truth.frames))]
    assert [reading.number for reading in read_numbers(tape)] == numbers
    starts = [0, 33, 83]
    beeps = [beep + start / 25 for truth, start in zip(truths, starts, strict=True) for beep in truth.beeps_s]
    assert max(abs(Fraction(a) - Fraction(b)) for a, b in zip(beep_times(tape), beeps, strict=True)) <= 0.005
    assert not project.make("all").jobs
