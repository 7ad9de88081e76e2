"""Whether a tape can be scored as the demo."""

from pathlib import Path

import pytest

from demo.score_page import can_be_scored
from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import TapeRow
from tapemill.enhance import EnhanceSettings, SceneSettings

CAPTURE = "resources/demo/capture.mkv"


def row(**changes):
    values = {
        "title": "",
        "date": "",
        "language": "en",
        "field_order": "auto",
        "aspect": "auto",
        "source": Path(CAPTURE),
    }
    return TapeRow(tape="demo", **{**values, "source": Path(CAPTURE), **changes})


def settings(**changes):
    section = load_config({"enhance": {"preset": "fast", **changes}})["enhance"]
    return EnhanceSettings(**SceneSettings.planned(section, ["demo"]).of_tape)


def test_the_demo_as_it_comes_can_be_scored():
    assert can_be_scored(row(), CAPTURE, settings(), "mkv")
    assert can_be_scored(row(field_order="tff", aspect="4:3"), CAPTURE, settings(crop_bottom_lines=20), "mkv")


@pytest.mark.parametrize(
    ("of_row", "of_settings", "container"),
    [
        ({"source": Path("captures/mine.mkv")}, {}, "mkv"),
        ({"field_order": "progressive"}, {}, "mkv"),
        ({"aspect": "16:9"}, {}, "mkv"),
        ({}, {"deinterlace": "single"}, "mkv"),
        ({}, {"height_lines": 720}, "mkv"),
        ({}, {"crop_left_samples": 8}, "mkv"),
        ({}, {"crop_top_lines": 2}, "mkv"),
        ({}, {}, "mp4"),
    ],
)
def test_what_comes_out_otherwise_than_its_truth_cannot(of_row, of_settings, container):
    assert not can_be_scored(row(**of_row), CAPTURE, settings(**of_settings), container)
