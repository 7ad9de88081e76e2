import re

import pytest

from tapemill.core.rule_catalog import (
    CHECKPOINTS,
    OTHER,
    RULES,
    STAGES,
    is_of_tape,
    outputs_that_settle,
    scene_rules,
    stage_of,
)
from tests.support.project import ROOT

RULE = re.compile(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)\b(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
FILES = {path.stem: path.read_text() for path in (ROOT / "rules").glob("*.smk")}
BODIES = {name: (stem, body) for stem, text in FILES.items() for name, body in RULE.findall(text)}
OF_TAPE = {name for name, (_, body) in BODIES.items() if f"logs/{name}/{{tape}}" in body}


def outputs(body):
    """Paths below results/{tape}/ in the slot `output`."""
    slot = re.search(r"^    output:\n(.*?)(?=^    \w+:|\Z)", body, re.MULTILINE | re.DOTALL)
    return re.findall(r"results/\{+tape\}+/([^\"]+)\"", slot[1]) if slot else []


def test_each_rule_of_a_tape_has_a_row_and_no_other_rule():
    assert set(RULES) == OF_TAPE
    assert not is_of_tape("fetch_models")
    assert stage_of("fetch_models") == OTHER


@pytest.mark.parametrize("rule", RULES)
def test_a_row_says_what_its_rule_says(rule):
    stem, body = BODIES[rule]
    row = RULES[rule]
    inherited = re.search(rf"^use rule (\w+) as {rule}\b", FILES[stem], re.MULTILINE)
    whole = (BODIES[inherited[1]][1] if inherited else "") + body
    assert stem == (row.stage if row.stage != OTHER else "report")
    assert (f"checkpoint {rule}:" in FILES[stem]) == row.is_checkpoint
    assert row.uses_gpu == bool(re.search(r"^        gpu=", whole, re.MULTILINE))
    (priority,) = re.findall(r"^    priority: (-?\d+)", whole, re.MULTILINE) or ["0"]
    assert row.priority == int(priority)
    made = outputs(body)
    assert row.is_per_scene == any("{scene}" in output for output in made)
    # A temporary file is none that stays; the tape's own name and its subtitles are written by expressions.
    for output in row.outputs if made and rule not in ("mux_tape", "render_tape_report") else ():
        assert output in made or output.replace("{", "{{").replace("}", "}}") in made


def test_rules_wait_for_rules_that_there_are():
    assert {each for row in RULES.values() for each in row.after} <= set(RULES)


def test_stages_are_the_rule_files_in_the_order_of_data():
    included = re.findall(r'include: "rules/(\w+)\.smk"', (ROOT / "Snakefile").read_text())
    assert list(STAGES) == [stem for stem in included if stem in STAGES]


def test_checkpoints_are_those_of_the_rules():
    assert set(re.findall(r"^checkpoint (\w+):", "".join(FILES.values()), re.MULTILINE)) == CHECKPOINTS


def test_scenes_come_before_what_waits_for_them():
    assert list(scene_rules("mux_tape")) == ["cut_scene", "enhance_scene"]
    assert list(scene_rules("join_subtitles")) == ["extract_audio", "transcribe_scene"]
    assert list(scene_rules("join_translations")) == ["extract_audio", "translate_scene"]
    assert not list(scene_rules("clean_sound"))


def test_a_cut_is_settled_by_its_clip_and_audio_by_its_subtitles():
    assert outputs_that_settle("cut_scene", "mux_tape") == ("enhanced/{scene}.mkv",)
    assert outputs_that_settle("extract_audio", "join_subtitles") == ("audio/{scene}.wav", "subtitles/{scene}.srt")
    assert outputs_that_settle("extract_audio", "join_translations") == ("audio/{scene}.wav", "translated/{scene}.srt")
