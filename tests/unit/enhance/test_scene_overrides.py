from pathlib import Path

import pytest

from tapemill.config.schema import load_config
from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.enhance.scene_overrides import SceneSettings, read_overrides

SCENE = ("T", "0000100", FrameRange(100, 200))


def table(tmp_path, *rows):
    path = tmp_path / "scenes.tsv"
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    return path


def settings(tmp_path, *rows, **config):
    section = {**load_config({"enhance": config})["enhance"], "overrides": str(table(tmp_path, *rows))}
    return SceneSettings.planned(section, ["T", "U"])


def test_a_row_changes_its_scene_and_no_other(tmp_path):
    columns = ("tape", "scene", "denoise_luma_spatial", "preset")
    made = settings(tmp_path, columns, ("T", "0000100", "3.5", ""), ("U", "", "", "gentle"))
    assert made.of_scene(*SCENE)["denoise_luma_spatial"] == 3.5
    assert made.of_scene(*SCENE)["preset"] == "fast"
    assert made.of_scene("T", "0000000", FrameRange(0, 100)) == made.of_tape
    assert made.of_scene("U", "0000000", FrameRange(0, 100))["preset"] == "gentle"


def test_a_range_of_frames_means_scenes_that_lie_in_it_for_more_than_half(tmp_path):
    columns = ("tape", "start_frame", "stop_frame", "sharpen")
    made = settings(tmp_path, columns, ("T", "150", "400", "0.5"))
    assert [
        made.of_scene("T", "x", span)["sharpen"]
        for span in (FrameRange(100, 200), FrameRange(99, 202), FrameRange(300, 500))
    ] == [
        *(None, 0.5),
        None,
    ]


def test_a_later_row_counts_where_both_say_something(tmp_path):
    columns = ("tape", "scene", "sharpen", "grain_levels")
    made = settings(tmp_path, columns, ("T", "", "0.5", "2"), ("T", "0000100", "0.1", ""))
    assert (made.of_scene(*SCENE)["sharpen"], made.of_scene(*SCENE)["grain_levels"]) == (0.1, 2)


def test_a_chain_can_stand_in_a_cell(tmp_path):
    made = settings(tmp_path, ("tape", "chain"), ("T", "[denoise, {sharpen: {strength: 0.3}}]"))
    steps = made.of_scene(*SCENE)["chain"]
    assert [step["filter"] for step in steps] == ["denoise", "sharpen", "resize"]


def test_no_table_is_no_error(tmp_path):
    assert read_overrides(tmp_path / "scenes.tsv", ["T"]) == []


@pytest.mark.parametrize(
    ("columns", "row", "words"),
    [
        ("tape scene sharpn", ("T", "1", "1"), ["unknown column 'sharpn'", "did you mean 'sharpen'"]),
        ("tape encoder", ("T", "ffv1"), ["unknown column 'encoder'"]),
        ("scene sharpen", ("1", "1"), ["the column 'tape' is missing"]),
        ("tape sharpen", ("V", "1"), ["row 2", "no tape 'V'"]),
        ("tape sharpen", ("T", "7"), ["row 2", "sharpen", "maximum"]),
        ("tape sharpen", ("T", "much"), ["row 2", "sharpen", "'much'"]),
        ("tape chain", ("T", "[denoise, {"), ["row 2", "chain cannot be read"]),
        ("tape chain", ("T", "[denoize]"), ["row 2", "denoize", "did you mean 'denoise'"]),
        ("tape chain", ("T", "[{crop: {top_lines: 4}}]"), ["row 2", "crop_top_lines", "all clips of a tape"]),
        ("tape scene start_frame stop_frame", ("T", "1", "0", "9"), ["row 2", "not both"]),
        ("tape start_frame stop_frame", ("T", "9", "9"), ["row 2", "not a range"]),
        ("tape start_frame stop_frame", ("T", "9", ""), ["row 2", "not a range"]),
    ],
)
def test_a_wrong_row_is_one_clear_error(tmp_path, columns, row, words):
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, columns.split(), row)
    for word in words:
        assert word in str(caught.value)


def test_a_row_for_a_scene_that_is_not_there_is_found_when_scenes_are_known(tmp_path):
    made = settings(tmp_path, ("tape", "scene", "sharpen"), ("T", "0000101", "1"))
    made.check_scenes("U", ["0000000"])
    with pytest.raises(ConfigError, match="no scene 0000101") as caught:
        made.check_scenes("T", ["0000000", "0000100"])
    assert "0000100" in str(caught.value)


def test_the_path_of_the_table_is_a_setting():
    assert load_config({})["enhance"]["overrides"] == str(Path("config/scenes.tsv"))
