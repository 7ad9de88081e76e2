"""What scenes have in common is said once, and nothing is lost by it."""

import json

import jsonschema
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.rule_catalog import scene_rules
from tapemill.provenance.sharing import shared, text, whole
from tests.support.project import ROOT

COMMAND = st.builds("-ss {} -i {{cut}}".format, st.integers(0, 99))
COMMANDS = st.lists(st.text(st.sampled_from("0123456789.{} abc-"), max_size=12) | COMMAND, max_size=3)
RECORDS = st.fixed_dictionaries(
    {"cut_with": st.just({}) | st.fixed_dictionaries({"command": st.text(st.sampled_from("12{} x"), max_size=8)})},
    optional={"commands": COMMANDS, "frames_in": st.integers(0, 3), "width": st.sampled_from([1, 1.0, True, "1"])},
)


def document(pictures, jobs=()):
    scenes = [{"scene": f"{place:07d}", "picture": picture} for place, picture in enumerate(pictures)]
    runs = [{"scene": f"{place:07d}", "cut_scene": job} for place, job in enumerate(jobs)]
    return {"how": {"scenes": scenes}, "run": {"scenes": runs}}


def picture(start, stop, **facts):
    return {"cut_with": {"command": f"ffmpeg -ss {start} -i file:{{capture}} -vf trim={start}:{stop},fps=25"}, **facts}


def test_a_command_is_said_once_and_of_each_scene_the_numbers_that_differ():
    pictures = [picture(start, start + 50, frames_in=50, width=720) for start in (0, 50, 62.5)]
    found = shared(document(pictures))["how"]
    assert found["alike"]["picture"] == {
        "1": {
            "cut_with": {"command": "ffmpeg -ss {1} -i file:{capture} -vf trim={1}:{2},fps=25"},
            "width": 720,
        }
    }
    assert [scene["picture"] for scene in found["scenes"]] == [
        {"like": "1", "frames_in": 50, "values": values} for values in (["0", "50"], ["50", "100"], ["62.5", "112.5"])
    ]


def test_scenes_of_another_kind_have_facts_of_their_own():
    pictures = [picture(0, 50, width=720), picture(50, 90, width=704), picture(90, 95, width=720)]
    found = shared(document(pictures))["how"]
    assert [scene["picture"]["like"] for scene in found["scenes"]] == ["1", "2", "1"]
    # Alone it has nothing that could differ.
    assert "values" not in found["scenes"][1]["picture"]
    assert found["alike"]["picture"]["2"]["cut_with"] == pictures[1]["cut_with"]


def test_what_looks_like_a_hole_is_none():
    pictures = [{"cut_with": {"command": f"drawtext='{{1}} of {number}'"}} for number in (2, 3)]
    assert whole(shared(document(pictures))) == document(pictures)


JOBS = st.lists(st.fixed_dictionaries({"seconds": st.floats(0, 9), "lane": st.just("x")}))


@given(st.lists(RECORDS, max_size=6), JOBS)
def test_nothing_is_lost(pictures, jobs):
    said = document(pictures, jobs)
    read = whole(json.loads(text(shared(said))))
    assert json.dumps(read, sort_keys=True) == json.dumps(said, sort_keys=True)


def test_entries_of_lists_have_a_line_of_their_own():
    assert text({"b": [{"y": 1, "x": [2, 3]}, 4], "a": {"ü": {}, "c": []}}) == (
        '{\n  "a": {\n    "c": [],\n    "ü": {}\n  },\n  "b": [\n    {"x":[2,3],"y":1},\n    4\n  ]\n}\n'
    )


def test_jobs_of_every_rule_of_scenes_refer_to_what_they_share():
    """Those of translations did not, and broke the schema of each tape that had them."""
    rules = list(scene_rules())
    assert "translate_scene" in rules
    runs = [
        {"scene": f"{place:07d}", **{rule: {"span_s": [0.0, 1.0], "lane": "x"} for rule in rules}} for place in (0, 1)
    ]
    found = shared({"how": {"scenes": []}, "run": {"scenes": runs}})["run"]
    schema = yaml.safe_load((ROOT / "config" / "schemas" / "provenance.schema.yaml").read_text())
    section = schema["properties"]["run"]["properties"]
    for name in ("scenes", "alike"):
        jsonschema.validate(found[name], {**section[name], "$defs": schema["$defs"]})
    assert all("like" in scene[rule] for scene in found["scenes"] for rule in rules)
