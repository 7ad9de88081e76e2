from itertools import groupby
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.cluster.batching import MAX_SCENES, GroupName, assign_batches, group_function

SECONDS = st.lists(st.floats(1, 4000), min_size=1, max_size=400)


@given(SECONDS, st.floats(6, 60_000))
def test_batches_are_neighbours_and_none_is_left_over_that_would_fit_to_another(seconds, group_s):
    numbers = assign_batches(seconds, group_s)
    assert len(numbers) == len(seconds)
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers) + 1))
    longest = max(seconds)
    lengths = [sum(seconds[i] for i, _ in batch) for _, batch in groupby(enumerate(numbers), key=lambda pair: pair[1])]
    aim = sum(seconds) / max(1, round(sum(seconds) / group_s))
    assert all(length <= aim + longest for length in lengths)
    assert max(map(numbers.count, numbers)) <= MAX_SCENES


def test_a_tape_of_equal_scenes_makes_equal_batches():
    assert assign_batches([60.0] * 60, 1800) == [1] * 30 + [2] * 30
    # Of 70 scenes, 2 x 35 and not 30, 30, 10.
    numbers = assign_batches([60.0] * 70, 1800)
    assert sorted(numbers.count(number) for number in set(numbers)) in ([35, 35], [34, 36])
    assert assign_batches([4000.0, 4000.0], 1800) == [1, 2]


class Tape:
    """A planned job of a tape with so many scenes that take a minute each."""

    def __init__(self, scenes):
        self.tape = SimpleNamespace(is_folder=False, row=SimpleNamespace(tape="T01"))
        self.scenes = {f"{number:07}": None for number in range(scenes)}


@pytest.fixture
def minutes(monkeypatch):
    monkeypatch.setattr("tapemill.cluster.batching.replace", lambda job, scene_id: job)
    monkeypatch.setattr("tapemill.cluster.batching._expected_s", lambda job, stage, config: 30.0)


CONFIG = {"subtitles": {"translate": False}, "cluster": {"group_minutes": 10}}


def name_of(tape, kind, scene, *, local_exec=False):
    in_group = group_function(SimpleNamespace(local_exec=local_exec), lambda wildcards: tape, CONFIG)
    return in_group(kind)(SimpleNamespace(tape="T01", scene=scene))


def test_a_group_is_named_by_tape_work_and_place(minutes):
    tape = Tape(25)
    assert name_of(tape, "enhance", "0000009") == "T01-enhance-001"
    assert isinstance(name_of(tape, "enhance", "0000024"), GroupName)
    assert name_of(tape, "enhance", "0000024") == "T01-enhance-002"
    assert name_of(tape, lambda wildcards: "subtitles", "0000000") == "T01-subtitles-001"


def test_where_nothing_is_submitted_there_are_no_groups(minutes):
    assert name_of(Tape(25), "enhance", "0000009", local_exec=True) is None


def test_a_new_scene_table_is_divided_anew(minutes):
    tape = Tape(30)
    in_group = group_function(SimpleNamespace(local_exec=False), lambda wildcards: tape, CONFIG)("enhance")
    assert in_group(SimpleNamespace(scene="0000029")) == "T01-enhance-003"
    tape.scenes = Tape(60).scenes
    assert in_group(SimpleNamespace(scene="0000029")) == "T01-enhance-003"
    assert in_group(SimpleNamespace(scene="0000059")) == "T01-enhance-006"
