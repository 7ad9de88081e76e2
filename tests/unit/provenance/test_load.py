"""Reading of provenances of all formats."""

import json

import jsonschema
import pytest

from tapemill.config.schema import schema
from tapemill.core.errors import InputError
from tapemill.provenance.compare import compare
from tapemill.provenance.format_2 import upgrade
from tapemill.provenance.json_layout import format_json
from tapemill.provenance.load import load_provenance, read_document
from tests.support.records import PROVENANCE_FORMAT_2, provenance

OLD = json.loads(PROVENANCE_FORMAT_2.read_text())


def stored(folder, values):
    path = folder / "provenance.json"
    path.write_text(json.dumps(values))
    return path


def test_a_document_of_format_2_is_read_whole():
    document = read_document(PROVENANCE_FORMAT_2)
    second = document.how.scenes[1]
    assert (second.scene, second.start_frame, second.stop_frame) == ("0000050", 50, 100)
    assert "trim=start_pts=50:end_pts=100" in second.enhance.cut_with.command
    assert [network.model for network in second.enhance.networks] == ["mine.safetensors"]
    assert second.subtitles.model_sha256 == document.how.models[-1].sha256
    assert document.how.programs.keys() == {"scenes", "enhance", "subtitles", "audio", "tape"}
    assert [model.used_for for model in document.how.models] == ["enhance", "speech detection", "subtitles"]
    assert (document.how.seeds.subtitles, document.how.seeds.enhance) == (0, (0,))
    assert document.how.audio.tracks[0].loudness_before_lufs is not None
    assert document.how.scene_overrides[0].scene == "0000050"
    (network,) = [scene for scene in OLD["run"]["scenes"] if scene["scene"] == "0000050"]
    job = document.run.scenes[1].jobs["enhance_scene"]
    assert list(job.span_s) == network["enhance_scene"]["span_s"]
    assert job.run_started == OLD["run"]["alike"]["enhance_scene"][network["enhance_scene"]["like"]]["run_started"]


def test_nothing_of_format_2_is_lost():
    """All texts and numbers of the old document are in the new one, but for the numbers that referred to others."""

    def leaves(value, key=""):
        if isinstance(value, dict):
            for name, each in value.items():
                yield from leaves(each, name)
        elif isinstance(value, list):
            for each in value:
                yield from leaves(each, key)
        elif key not in ("like", "values", "format", "used_for") and "{1}" not in str(value):
            yield key, value

    kept = set(leaves(provenance().to_plain())) | set(leaves(OLD["how"]["seeds"]))
    assert not set(leaves(OLD)) - kept


def test_a_document_of_format_2_equals_the_same_one_of_format_3(tmp_path):
    new = tmp_path / "provenance.json"
    new.write_text(format_json(provenance().to_plain()))
    one, other = load_provenance(str(PROVENANCE_FORMAT_2)), load_provenance(str(new))
    assert one.document == other.document
    assert compare(one, other).differences == ()
    assert compare(one, other).same_files


def test_scenes_of_format_1_have_no_shared_facts(tmp_path):
    new = upgrade(OLD)
    names = {"enhance": "picture", "subtitles": "words"}
    how = {
        **{key: value for key, value in OLD["how"].items() if key != "alike"},
        "scenes": [{names.get(part, part): value for part, value in scene.items()} for scene in new["how"]["scenes"]],
    }
    run = {**OLD["run"], "scenes": [{"scene": scene["scene"], **scene["jobs"]} for scene in new["run"]["scenes"]]}
    del run["alike"]
    path = stored(tmp_path, {**OLD, "format": 1, "how": how, "run": run})
    assert read_document(path) == provenance()


def test_what_looks_like_a_hole_is_none_where_nothing_fills_it():
    old = json.loads(json.dumps(OLD))
    part = old["how"]["alike"]["picture"]["2"]
    part["cut_with"]["command"] = "ffmpeg -vf drawtext='{1} of {2}' file:{cut}"
    old["how"]["scenes"][1]["picture"].pop("values", None)
    assert upgrade(old)["how"]["scenes"][1]["enhance"]["cut_with"]["command"].endswith("'{1} of {2}' file:{cut}")


def test_a_document_obeys_its_schema_and_a_scene_is_a_line():
    text = format_json(provenance().to_plain())
    jsonschema.Draft202012Validator(schema("provenance")).validate(json.loads(text))
    lines = [line.strip() for line in text.splitlines() if '"scene":"0000050"' in line]
    override, how, run = lines
    assert how.startswith('{"scene":"0000050","start_frame":50,"stop_frame":100,"enhance":{')
    assert override.startswith('{"scene":"0000050","frames":')
    assert run.startswith('{"scene":"0000050","jobs":{"cut_scene":{')


def test_other_keys_than_the_first_are_sorted():
    assert format_json({"b": [{"y": 1, "scene": "s", "x": [2, 3]}, 4], "a": {"ü": {}, "c": []}}) == (
        '{\n  "a": {\n    "c": [],\n    "ü": {}\n  },\n  "b": [\n    {"scene":"s","x":[2,3],"y":1},\n    4\n  ]\n}\n'
    )


@pytest.mark.parametrize("format", [None, 0, 4, "1"])
def test_a_provenance_of_another_format_is_not_guessed_at(tmp_path, format):
    with pytest.raises(InputError, match="has the format"):
        read_document(stored(tmp_path, {**OLD, "format": format}))


def test_a_provenance_that_refers_to_what_is_not_there_is_none(tmp_path):
    old = {**OLD, "how": {**OLD["how"], "alike": {}}}
    with pytest.raises(InputError, match="no provenance of a tape"):
        read_document(stored(tmp_path, old))


def test_a_wrong_field_is_named(tmp_path):
    values = provenance().to_plain()
    values["how"]["scenes"][2]["start_frame"] = "50"
    with pytest.raises(InputError, match=r"how\.scenes\[2\]\.start_frame is '50', not an integer") as caught:
        read_document(stored(tmp_path, values))
    assert caught.value.file == tmp_path / "provenance.json"
    assert "delete it" in caught.value.remedy


def test_keys_of_a_newer_version_are_ignored(tmp_path):
    values = provenance().to_plain()
    values["how"]["models"][0]["license"] = "MIT"
    values["weather"] = "fine"
    assert read_document(stored(tmp_path, values)) == provenance()
