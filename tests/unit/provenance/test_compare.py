"""Comparison of two tapes, by their provenance or by the tags of their files."""

from dataclasses import replace
from pathlib import Path

from tapemill.provenance.compare import Difference, compare
from tapemill.provenance.load import LoadedProvenance
from tapemill.provenance.model import SceneHow
from tests.support.records import clip_record, provenance


def tags_only(**tags):
    return LoadedProvenance(Path("T01.mkv"), None, tags)


def one_scene(clip, stop_frame=50):
    """A provenance of one scene, with results that differ from those of other clips."""
    document = provenance()
    result = replace(document.results[0], kind=str(hash(repr(clip))))
    scene = SceneHow("0000000", 0, stop_frame, clip, None)
    how = replace(document.how, scenes=(scene,))
    return LoadedProvenance(Path("provenance.json"), replace(document, how=how, results=(result,)), {})


def test_tags_name_the_section_that_differs():
    one = tags_only(capture="1-a", settings="audio=1 enhance=2", programs="tape: av 18")
    other = tags_only(capture="1-a", settings="audio=1 enhance=3", programs="tape: av 18")
    found = compare(one, other)
    assert found.by_tags_alone
    assert found.differences == (Difference("settings.enhance", "2", "3"),)
    assert compare(one, one).differences == ()


def test_scenes_that_differ_alike_are_one_line():
    names = tuple(f"{number:07d}" for number in range(8))
    line = str(Difference("enhance.networks.precision", "float32", "float16", names))
    assert line == (
        "enhance.networks.precision (scenes 0000000, 0000001, 0000002, 0000003, 0000004 and 3 more): float32 | float16"
    )


def test_of_a_long_command_the_place_is_shown_where_it_differs():
    chain = ",".join(f"filter{number}=1" for number in range(40))
    one, other = (
        one_scene(clip_record(commands=(f"ffmpeg -i file:{{cut}} -vf '{chain}{end}' -y file:{{clip}}",)))
        for end in ("", ",sharpen=2")
    )
    (found,) = compare(one, other).differences
    assert found.what == "enhance.commands"
    assert found.first == "…ilter38=1,filter39=1"
    assert found.second == "…ilter38=1,filter39=1,sharpen=2"


def test_a_scene_without_a_record_differs_from_one_with():
    (found,) = compare(one_scene(None), one_scene(clip_record())).differences
    assert (found.what, found.first, found.scenes) == ("enhance", "empty", ("0000000",))


def test_scenes_with_other_borders_are_named_and_not_compared_further():
    (found,) = compare(one_scene(clip_record()), one_scene(clip_record(frames_out=98), stop_frame=60)).differences
    assert str(found) == "frames (scene 0000000): 0 to 50 | 0 to 60"
