"""Differences of recorded params that are no reason to run a job again, and those that are."""

import pytest

from tapemill.snakemake_compat.rerun_reasons import essential_change

AUDIO = {"codec": "flac", "hiss_db": 0, "hum_hz": 0, "loudness_lufs": None}


def change(old, new, paths=()):
    return essential_change(set(map(repr, old)), set(map(repr, new)), set(map(repr, paths)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (AUDIO, dict(reversed(AUDIO.items()))),
        # Another version had one key less, or one more.
        ({key: AUDIO[key] for key in ("codec", "hum_hz")}, AUDIO),
        ({**AUDIO, "a_key_of_yore": 3}, AUDIO),
        ({"tape": "T01", "source": "a.mkv"}, {"source": "b.mkv", "tape": "T01"}),
    ],
)
def test_order_new_keys_with_defaults_removed_keys_and_paths_are_no_reason(old, new):
    assert change([old, 1, "text"], [1, "text", new]) == (set(), set())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (AUDIO, {**AUDIO, "hiss_db": 6}),
        ({"codec": "flac", "hum_hz": 0}, {**AUDIO, "hiss_db": 6}),
        # A key that a section still has was not removed by a new version.
        (AUDIO, {key: AUDIO[key] for key in ("codec", "hum_hz")}),
        ({"scene": "0000000"}, {"settings": {}}),
        (AUDIO, list(AUDIO)),
        (["a", "b"], ["b", "a"]),
        (1, 2),
        ("{", "}"),
    ],
)
def test_another_value_is_a_reason(old, new):
    only_old, only_new = change([old, "text"], ["text", new])
    assert len(only_old) == len(only_new) == 1


def test_a_param_without_a_value_is_no_reason():
    assert change([1, "text"], [1, "text", None]) == (set(), set())
    assert change([1, None], [1, "2/1"]) == (set(), {repr("2/1")})


def test_a_path_takes_the_place_of_one_path():
    assert change(["old.mkv", 1], ["new.mkv", 1], paths=["new.mkv"]) == (set(), set())
    assert change([["a", "b"]], [["c", "d"]], paths=[["c", "d"]]) == (set(), set())
    assert change([["a"]], [["c", "d"]], paths=[["c", "d"]]) != (set(), set())
    assert change(["old.mkv", "title"], ["new.mkv", "another"], paths=["new.mkv"]) != (set(), set())
