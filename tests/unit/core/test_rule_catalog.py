import re

from tapemill.core.rule_catalog import CHECKPOINTS, OTHER, STAGE_OF, STAGES, stage_of
from tests.support.project import ROOT

RULE = re.compile(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)\b", re.MULTILINE)


def test_each_rule_belongs_to_the_stage_of_its_file():
    for stage in STAGES:
        for rule in RULE.findall((ROOT / "rules" / f"{stage}.smk").read_text()):
            assert STAGE_OF.get(rule) == stage, rule


def test_rules_of_other_files_are_no_work_on_tapes():
    for file in (ROOT / "rules").glob("*.smk"):
        if file.stem not in STAGES:
            assert not STAGE_OF.keys() & set(RULE.findall(file.read_text()))
    assert stage_of("models") == OTHER


def test_checkpoints_are_those_of_the_rules():
    texts = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    assert set(re.findall(r"^checkpoint (\w+):", texts, re.MULTILINE)) == CHECKPOINTS
