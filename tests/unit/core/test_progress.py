import pytest

from tapemill.core import progress
from tapemill.core.progress import ByteProgress, Progress, progress_by_seconds


class Clock:
    """Time as the test wants it."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now_s)

    def wait(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch, caplog):
    caplog.set_level("INFO")
    return Clock(monkeypatch)


def told(caplog):
    return [record.job_progress for record in caplog.records]


def test_speed_counts_from_the_first_frames_and_not_from_the_start(clock, caplog):
    counter = Progress(100)
    clock.wait(60)
    counter.reach(0)
    clock.wait(1)
    counter.reach(10)
    clock.wait(10)
    counter.reach(30)
    nothing, known = told(caplog)
    assert nothing == {"frames": 0, "total_frames": 100}
    assert known == {"frames": 30, "total_frames": 100, "frames_per_s": 2.0, "remaining_s": 35.0}
    assert caplog.messages[-1] == "30 of 100 frames, 2.00 frames/s, 35 s to go"


def test_one_burst_of_frames_says_nothing_of_speed(clock, caplog):
    counter = Progress(100)
    clock.wait(60)
    counter.advance(12)
    assert told(caplog) == [{"frames": 12, "total_frames": 100}]
    clock.wait(60)
    counter.advance(12)
    assert told(caplog)[-1]["remaining_s"] == pytest.approx(76 / 0.2)


def test_long_jobs_are_told_of_less_often(clock, caplog):
    counter = Progress(100_000)
    for _ in range(3600):
        clock.wait(1)
        counter.advance()
    # Every five seconds at first, every 72 at the end.
    assert 100 < len(told(caplog)) < 250
    assert told(caplog)[1]["frames"] == 10


def test_more_frames_than_expected_take_no_negative_time(clock, caplog):
    counter = Progress(10)
    counter.advance(5)
    clock.wait(6)
    counter.advance(20)
    assert told(caplog)[-1]["remaining_s"] == 0


def test_items_count_when_they_have_been_used(clock, caplog):
    counter = Progress(6, "joining")
    items = counter.counting("abc", 2)
    assert next(items) == "a"
    assert counter.done_frames == 0
    clock.wait(6)
    assert list(items) == ["b", "c"]
    assert counter.done_frames == 6
    assert told(caplog) == [{"frames": 2, "total_frames": 6, "step": "joining"}]
    assert caplog.messages == ["joining, 2 of 6 frames"]


def test_frames_of_files_are_judged_by_their_bytes(clock, caplog):
    reading = ByteProgress([3000, 1000], "reading")
    for file in ([(0, 0), (20, 500), (75, 2900)], [(10, 300), (30, 990)]):
        reading.next_file()
        for frames, read_bytes in file:
            clock.wait(10)
            reading.reach(frames, read_bytes)
    # Before the first bytes nothing is known.
    assert [(word["frames"], word["total_frames"]) for word in told(caplog)] == [
        (20, 160), (75, 103), (85, 103), (105, 105)
    ]  # fmt: skip


def test_seconds_are_told_as_frames_and_never_go_back(clock, caplog):
    reached = progress_by_seconds(250, 10.0, "measuring")
    for seconds in (2.0, 1.0, 9.0, 11.0):
        clock.wait(10)
        reached(seconds)
    assert [(word["step"], word["frames"]) for word in told(caplog)] == [
        ("measuring", frames) for frames in (50, 50, 225, 250)
    ]
