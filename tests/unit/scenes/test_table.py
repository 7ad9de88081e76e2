"""The scene table and the lists for people."""

import csv
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.errors import ConfigError, InputError
from tapemill.core.timing import FrameRange
from tapemill.media.film.cadence import SceneFilm
from tapemill.scenes.settings import ScenesSettings
from tapemill.scenes.table import folder_scenes, make_scenes, read_scenes, timecode, write_csv, write_edl, write_scenes
from tests.support.project import ROOT

NTSC = Fraction(30000, 1001)
SCENES = make_scenes([FrameRange(0, 450), FrameRange(450, 1234), FrameRange(1234, 18000)], NTSC)


def test_what_was_written_is_read(tmp_path):
    write_scenes(SCENES, tmp_path / "scenes.tsv")

    assert read_scenes(tmp_path / "scenes.tsv") == SCENES
    lines = (tmp_path / "scenes.tsv").read_text().splitlines()
    assert lines[2].split("\t") == [
        *("0000450", "450", "1234", "15.015000", "41.174467"),
        *("30000/1001", "3003/200", "617617/15000"),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text.replace("stop_frame", "end"),
        lambda text: text.replace("\t450\t1234", "\t451\t1234"),
        lambda text: text.replace("30000/1001", "fast"),
        lambda text: text + "0018000\t18000\n",
    ],
)
def test_a_damaged_table_is_an_error(tmp_path, damage):
    path = tmp_path / "scenes.tsv"
    write_scenes(SCENES, path)
    path.write_text(damage(path.read_text()))

    with pytest.raises(InputError, match="no table of scenes"):
        read_scenes(path)


def test_reading_needs_nothing_heavy():
    code = "import sys, tapemill.scenes; print(*sys.modules)"
    scripts = ROOT / "scripts"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True)

    assert not {"cv2", "scenedetect", "torch", "pandas"} & set(loaded.stdout.split())


def test_ready_scenes_are_named_by_their_place():
    files = [Path("b.avi"), Path("clip 9.avi"), Path("clip 10.avi")]

    assert folder_scenes(files) == {"0000001": files[0], "0000002": files[1], "0000003": files[2]}


@pytest.mark.parametrize(
    ("frame", "rate", "expected"),
    [
        (0, NTSC, "00:00:00;00"),
        (1799, NTSC, "00:00:59;29"),
        (1800, NTSC, "00:01:00;02"),
        (17981, NTSC, "00:09:59;29"),
        (17982, NTSC, "00:10:00;00"),
        (107892, NTSC, "01:00:00;00"),
        (3600, Fraction(60000, 1001), "00:01:00;04"),
        (90000, Fraction(25), "01:00:00:00"),
        (1500, Fraction(24000, 1001), "00:01:02:12"),
    ],
)
def test_time_code(frame, rate, expected):
    assert timecode(frame, rate) == expected


@given(st.integers(0, 400_000), st.sampled_from([NTSC, Fraction(60000, 1001), Fraction(25), Fraction(50)]))
def test_time_code_leads_back_to_its_frame(frame, rate):
    assert frame_of(timecode(frame, rate), rate) == frame


def test_the_edit_decision_list_names_every_frame(tmp_path):
    write_edl(SCENES, "Holiday\n1994", tmp_path / "scenes.edl")

    text = (tmp_path / "scenes.edl").read_text()
    assert text.startswith("TITLE: Holiday 1994\nFCM: DROP FRAME\n")
    events = re.findall(r"^(\d{3})  AX       V     C        (\S+) (\S+) (\S+) (\S+)$", text, re.MULTILINE)
    spans = [(frame_of(start, NTSC), frame_of(stop, NTSC)) for _, start, stop, _, _ in events]
    assert spans == [(scene.span.start_frame, scene.span.stop_frame) for scene in SCENES]
    assert all((source_in, source_out) == (in_, out) for _, source_in, source_out, in_, out in events)


def test_the_sheet_for_people(tmp_path):
    write_csv(SCENES, tmp_path / "scenes.csv")

    rows = list(csv.DictReader((tmp_path / "scenes.csv").read_text().splitlines()))
    assert rows[1] == {
        "scene": "0000450",
        "start": "00:00:15.015",
        "stop": "00:00:41.174",
        "length_s": "26.159",
        "frames": "784",
    }


def test_lengths_that_exclude_each_other_are_refused():
    with pytest.raises(ConfigError, match="less than three times"):
        ScenesSettings(
            cut_ratio=2.5, cut_change=10, flash_s=0.2, black_level=40, black_s=0.1, shortest_s=12, longest_s=30
        )


def frame_of(text, rate):
    """SMPTE time code to frame number, the long way: by what each number names."""
    hours, minutes, seconds, frames = (int(part) for part in re.split("[:;]", text))
    base = round(rate)
    minute = 60 * hours + minutes
    dropped = {30: 2, 60: 4}.get(base, 0) * (minute - minute // 10) if ";" in text else 0
    return (minute * 60 + seconds) * base + frames - dropped


FILM = [
    SceneFilm("24", "tff", 0.998, 451, "32*180,1"),
    SceneFilm("24", "tff", 0.998, 785, "1.,32*313,2"),
    SceneFilm("24", "tff", None, 16766, "32*6706,2"),
]


def test_film_of_a_tape_is_in_its_table(tmp_path):
    scenes = make_scenes([scene.span for scene in SCENES], NTSC, FILM)
    write_scenes(scenes, tmp_path / "scenes.tsv")
    assert read_scenes(tmp_path / "scenes.tsv") == scenes
    assert [scene.cut_frames for scene in scenes] == [451, 785, 16766]


@pytest.mark.parametrize(
    "change", [("32*180", "32*170"), ("\t451\t", "\t452\t"), ("0.998", "sure"), ("24\ttff", "26\ttff")]
)
def test_damaged_film_is_an_error(tmp_path, change):
    write_scenes(make_scenes([scene.span for scene in SCENES], NTSC, FILM), tmp_path / "scenes.tsv")
    text = (tmp_path / "scenes.tsv").read_text()
    assert change[0] in text
    (tmp_path / "scenes.tsv").write_text(text.replace(*change, 1))
    with pytest.raises(InputError, match="no table of scenes"):
        read_scenes(tmp_path / "scenes.tsv")
