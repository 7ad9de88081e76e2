import dataclasses
import importlib
from pathlib import Path

import pytest
import yaml

from tapemill.config.schema import RENAMED_KEYS, load_config, renamed_keys, schema
from tapemill.config.tape_sheet import load_sheet
from tapemill.core.errors import ConfigError
from tests.support.project import ROOT

STAGES = {
    "capture": "CaptureSettings",
    "scenes": "ScenesSettings",
    "audio": "AudioSettings",
    "subtitles": "SubtitlesSettings",
    "enhance": "EnhanceSettings",
    "tape": "TapeSettings",
    "lanes": "LanesSettings",
}


def sheet(tmp_path, *rows, columns="tape source title date language field_order aspect"):
    path = tmp_path / "tapes.tsv"
    lines = ["\t".join(columns.split()), *("\t".join(row) for row in rows)]
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n")
    return path


def test_the_committed_config_is_valid_and_says_nothing_unknown():
    path = ROOT / "config" / "config.yaml"
    load_config(yaml.safe_load(path.read_text()))


def test_every_default_is_within_its_own_bounds():
    assert load_config(load_config({})) == load_config({})


KEYS_OF_0_1_0 = {
    "capture": (
        "field_order_spots field_order_frames longest_gap_s allow_truncated largest_side highest_rate longest_h "
    ),
    "scenes": "cut_ratio cut_change flash_s black_level black_s shortest_s longest_s",
    "audio": "tracks hum_hz hiss_db loudness_lufs true_peak_db codec bitrate_kbps",
    "subtitles": (
        "model language_scenes translate vad_threshold vad_min_speech_s vad_min_silence_s vad_pad_s "
        "speech_join_s prompt temperatures beam_size condition_on_previous_text word_timestamps "
        "no_speech_threshold logprob_threshold compression_ratio_threshold repeat_limit line_characters lines "
        "cue_shortest_s cue_longest_s characters_per_s gap_frames torch_threads seed "
    ),
    "enhance": (
        "preset chain frame_model vrt_model overrides network_precision network_tile_samples network_compile "
        "deinterlace field_order_by_scene crop_top_lines crop_bottom_lines crop_left_samples "
        "crop_right_samples denoise_luma_spatial denoise_luma_temporal denoise_chroma_spatial "
        "denoise_chroma_temporal chroma_shift_samples chroma_shift_lines chroma_bleed chroma_bleed_samples "
        "deband_levels sharpen grain_levels height_lines encoder crf encoder_effort encoder_threads "
        "keyframe_interval_s pixel_format "
    ),
    "tape": "container chapters chapter_shortest_s subtitles_on",
    "report": "pages stills",
    "disk": "reserve_gb cut_ahead keep_cuts",
    "queue": "tapes scenes",
    "cluster": "group_minutes",
    "budget": "hours gb",
    "plan": "watts_machine watts_lane price_kwh json",
    "lanes": "device warm idle_s memory_share nice enhance_lanes limit_factor limit_least_s",
}
COLUMNS_OF_0_1_0 = "tape source title date language field_order aspect"


@pytest.mark.parametrize(("section", "settings"), STAGES.items())
def test_each_section_builds_the_settings_of_its_stage(section, settings):
    kind = getattr(importlib.import_module(f"tapemill.{section}"), settings)
    values = load_config({})[section]
    assert {field.name for field in dataclasses.fields(kind)} == set(values)
    kind(**values)


def test_old_names_of_keys_go_on_working_with_a_note_that_names_the_new_one():
    old = {section: dict.fromkeys(names, 7) for section, names in RENAMED_KEYS.items()}
    loaded = load_config(old)
    notes = renamed_keys(old)
    for section, names in RENAMED_KEYS.items():
        for name, new in names.items():
            assert loaded[section][new] == 7
            assert name not in loaded[section]
            assert f"config: `{section}: {name}` is called `{section}: {new}` now" in notes
            with pytest.raises(ConfigError, match=f"{name} and {new} are two names of one key"):
                load_config({section: {name: 7, new: 8}})
    assert len(notes) == sum(map(len, RENAMED_KEYS.values()))
    assert old == {section: dict.fromkeys(names, 7) for section, names in RENAMED_KEYS.items()}
    assert renamed_keys(loaded) == renamed_keys({"disk": None}) == []


def test_every_key_of_the_first_releases_is_accepted():
    """Keys of 0.1.0, as its schema had them."""
    for section, names in KEYS_OF_0_1_0.items():
        known = {*schema("config")["properties"][section]["properties"], *RENAMED_KEYS.get(section, {})}
        assert set(names.split()) <= known
    assert set(COLUMNS_OF_0_1_0.split()) <= set(schema("tapes")["properties"])


def test_every_key_has_a_description_and_a_default_and_numbers_have_a_range():
    def check(rules, name):
        for key, rule in rules["properties"].items():
            place = f"{name}.{key}"
            assert rule.get("description"), place
            if rule.get("type") == "object":
                assert rule["additionalProperties"] is False, place
                check(rule, place)
                continue
            assert "default" in rule, place
            if rule.get("type") in ("integer", "number"):
                assert "minimum" in rule, place
                assert "maximum" in rule, place

    check(schema("config"), "config")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enhanse": {}}, ["enhanse", "did you mean 'enhance'"]),
        ({"capture": {"field_order_spot": 3}}, ["capture", "field_order_spot", "did you mean 'field_order_spots'"]),
        ({"capture": {"field_order_spots": 0}}, ["capture.field_order_spots", "0", "minimum"]),
        ({"capture": {"field_order_spots": "many"}}, ["capture.field_order_spots", "'many'", "integer"]),
        ({"tape": {"container": "avi"}}, ["tape.container", "'avi'", "mkv, mp4"]),
        ({"capture": 3}, ["capture", "object"]),
    ],
)
def test_a_wrong_setting_is_one_clear_error(values, words):
    with pytest.raises(ConfigError) as caught:
        load_config(values)
    for word in words:
        assert word in str(caught.value)


def test_a_sheet_is_read_as_text_without_quoting(tmp_path):
    capture = tmp_path / 'the "first" one.avi'
    capture.touch()
    row = ["T01", str(capture), 'Mum\'s "25th"', "1994-07", "en", "tff", "16:9"]
    tape = load_sheet(sheet(tmp_path, row))["T01"]
    assert tape.source == capture
    assert tape.title == 'Mum\'s "25th"'
    assert tape.date == "1994-07"
    assert tape.aspect == "16:9"


def test_empty_cells_missing_columns_and_blank_lines_take_defaults(tmp_path):
    (tmp_path / "a.avi").touch()
    path = sheet(tmp_path, ["001", str(tmp_path / "a.avi")], ["", ""], columns="tape source")
    tapes = load_sheet(path)
    assert list(tapes) == ["001"]
    assert (tapes["001"].language, tapes["001"].field_order, tapes["001"].aspect) == ("auto", "auto", "auto")


def test_a_file_name_of_any_bytes_is_a_source(tmp_path):
    capture = Path(tmp_path, b"Gro\xdfmutter 100%{x}.avi ".decode("utf-8", "surrogateescape"))
    capture.touch()
    assert load_sheet(sheet(tmp_path, ["T01", str(capture)], columns="tape source"))["T01"].source == capture


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tape": "../x"}, ["row 2", "tape", "../x"]),
        ({"tape": "-x"}, ["row 2", "tape"]),
        ({"tape": ""}, ["row 2", "tape", "must not be empty"]),
        ({"source": ""}, ["row 2", "source", "must not be empty"]),
        ({"source": "/nowhere/a.avi"}, ["row 2", "T01", "/nowhere/a.avi", "does not exist", "correct the column"]),
        ({"source": "s3://shelf/a.avi"}, ["row 2", "T01", "does not exist", "an address is no file: mount"]),
        ({"date": "24.7.1994"}, ["row 2", "date", "24.7.1994", "year-month"]),
        ({"field_order": "top"}, ["row 2", "field_order", "'top'", "auto, tff, bff, progressive"]),
        ({"aspect": "4x3"}, ["row 2", "aspect", "4x3", "such as 4:3, 16:9 or 14:9"]),
        ({"aspect": "0:3"}, ["row 2", "aspect", "0:3"]),
        ({"aspect": "1:16"}, ["row 2", "aspect", "no picture has the aspect 1:16"]),
        ({"language": "English"}, ["row 2", "language", "English"]),
    ],
)
def test_a_wrong_row_is_one_clear_error(tmp_path, changes, words):
    (tmp_path / "a.avi").touch()
    row = {"tape": "T01", "source": str(tmp_path / "a.avi"), "title": "", "date": "", "language": "", "field_order": ""}
    row |= {"aspect": ""} | changes
    with pytest.raises(ConfigError) as caught:
        load_sheet(sheet(tmp_path, list(row.values())))
    for word in words:
        assert word in str(caught.value)


def test_unknown_columns_missing_columns_and_double_ids(tmp_path):
    (tmp_path / "a.avi").touch()
    source = str(tmp_path / "a.avi")
    with pytest.raises(ConfigError, match=r"unknown column 'titel' .* did you mean 'title'"):
        load_sheet(sheet(tmp_path, ["T01", source, ""], columns="tape source titel"))
    with pytest.raises(ConfigError, match="'source' is missing"):
        load_sheet(sheet(tmp_path, ["T01"], columns="tape"))
    with pytest.raises(ConfigError, match=r"row 3 .* used twice"):
        load_sheet(sheet(tmp_path, ["T01", source], ["T01", source], columns="tape source"))


@pytest.mark.parametrize("content", [b"", b"\x00\x00", b"tape\tsource\na\tb\tc\td\te\n"])
def test_a_sheet_that_is_no_table(tmp_path, content):
    path = tmp_path / "tapes.tsv"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_sheet(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_sheet(tmp_path / "missing.tsv")


def test_a_source_that_a_rule_makes_may_be_missing(tmp_path):
    path = sheet(tmp_path, ["demo", "resources/demo/capture.mkv"], columns="tape source")
    assert "demo" in load_sheet(path, producible=["resources/demo/capture.mkv"])
