"""Choice of the points from recorded calls."""

from collections import Counter
from fnmatch import fnmatch

import pytest

from tests.injection.points import FAULTS, Point, Site, choose, glob_of, numbers

RENAME = Site("job", "rename", "tapemill/storage/atomic.py:staged", "results/T/T.mkv")
WRITE = Site("snakemake", "write", "logging", ".snakemake/log/*.log")
CREATE = Site("snakemake", "create", "snakemake/io/__init__.py:prepare", "results/T")


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        ("results/T/enhanced/0000030.mkv", "results/T/enhanced/[0-9]*.mkv"),
        ("results/.partial/9c5a1f00e2b7/T/T.mkv", "results/.partial/*/T/T.mkv"),
        ("results/T/capture_sha256.json", "results/T/capture_sha256.json"),
        (".snakemake/metadata/cmVzdWx0cy9U", ".snakemake/metadata/*"),
        (".snakemake/scripts/tmpab_3xy12.cut_scene.py", ".snakemake/scripts/*.py"),
        (
            ".snakemake/attempts/23114-3177019/jobs/logs/cut_scene/T/0000030.json",
            ".snakemake/attempts/[0-9]*-[0-9]*/jobs/logs/*/T/[0-9]*.json",
        ),
        ("events/20261130T133848Z-host-18755-31.host.jsonl", "events/*.jsonl"),
        ("results/.tapemill-probe-a2isjwq9/to/file", "results/.tapemill-probe-*/to/file"),
        ("benchmarks/mux_tape/T.tsv", "benchmarks/*/T.tsv"),
    ],
)
def test_a_path_matches_its_pattern_in_which_nothing_of_the_run_is_left(path, glob):
    assert glob_of(path) == glob
    assert fnmatch(path, glob)


def test_first_middle_and_last_call():
    assert [numbers(count) for count in (1, 2, 3, 8)] == [[1], [1, 2], [1, 2, 3], [1, 4, 8]]


def test_each_site_is_tried_where_a_run_is_shortest_and_calls_it_often_enough():
    recordings = {"late": Counter({RENAME: 1, WRITE: 2}), "nothing": Counter({RENAME: 1, WRITE: 9, CREATE: 1})}
    points = choose(recordings, faults=["EIO"], seed=1)
    assert set(points) == {
        Point("late", RENAME, 1, "EIO"),
        *(Point("nothing", WRITE, number, "EIO") for number in (1, 5, 9)),
        Point("nothing", CREATE, 1, "EIO"),
    }


def test_the_first_points_cover_all_sites_and_a_seed_repeats_them():
    recordings = {"nothing": Counter({RENAME: 3, WRITE: 3, CREATE: 3})}
    points = choose(recordings, faults=FAULTS, seed=7)
    assert len(points) == len(set(points)) == 3 * 3 * len(FAULTS)
    assert {point.site for point in points[:3]} == {RENAME, WRITE, CREATE}
    assert points == choose(recordings, faults=FAULTS, seed=7)
    assert points != choose(recordings, faults=FAULTS, seed=8)


def test_the_text_of_a_point_is_the_point():
    point = Point("nothing", RENAME, 2, "kill-run")
    assert Point.parse(str(point)) == point
