"""The manual agrees with the program: generated parts, links, commands, messages, and the stage that is added in it."""

import ast
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from functools import cache

import cv2
import pytest

from tapemill.cli import main as commands
from tapemill.config.schema import schema
from tapemill.core import errors
from tests.support.media.frame_codes import make_capture
from tests.support.project import ROOT, Project
from tools.docs import PARTS
from tools.docs.record_schemas import RECORDS, schema_text
from tools.docs.rule_graph import transitive_reduction

MANUAL = ROOT / "config" / "README.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = [ROOT / "README.md", MANUAL, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), *DECISIONS]
SCHEMAS = {
    "config": schema("config")["properties"],
    "tapes": schema("tapes")["properties"],
    "models": schema("models")["additionalProperties"]["properties"],
}
# What the reference tables say of a key, or need not say since the description does.
KEYWORDS = {"type", "description", "default", "enum", "items", "minimum", "maximum", "multipleOf"}
KEYWORDS |= {"minLength", "maxLength", "minItems", "pattern", "properties", "additionalProperties"}
UNIT = re.compile(
    r"second|frame|line|sample|level|\bdB\b|\bHz\b|hour|\bGB\b|kilobit|LUFS|probability|ratio|times|column|character|thread"
    r"|random|share|scale|lane|scene|how many|how strongly|0 is none|none, 1 much|watt|money|price|cost|euro|currency",
    re.IGNORECASE,
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_generated_parts_are_up_to_date(part):
    text = (ROOT / part.file).read_text()
    assert part.render(text) == text, "run `make docs`"


@pytest.mark.parametrize("name", RECORDS)
def test_schemas_of_records_are_those_of_their_dataclasses(name):
    assert (ROOT / f"config/schemas/{name}.schema.yaml").read_text() == schema_text(name), "run `make docs`"


def test_a_part_without_its_place_is_an_error():
    with pytest.raises(ValueError, match="lacks the markers"):
        PARTS[0].render("nothing")


def test_arrows_that_others_say_are_left_out():
    arrows = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("a", "d"), ("x", "d")}
    assert transitive_reduction(arrows) == {("a", "b"), ("b", "c"), ("c", "d"), ("x", "d")}


def keys(rules, above=""):
    for key, rule in rules.items():
        yield above + key, rule
        if rule.get("type") == "object":
            yield from keys(rule["properties"], f"{above}{key}.")


def test_every_key_says_what_it_means_and_numbers_their_range_and_unit():
    for name, rules in SCHEMAS.items():
        for key, rule in keys(rules):
            where = f"{name}: {key}"
            assert set(rule) <= KEYWORDS, where
            assert len(rule["description"]) >= 15, where
            kinds = rule.get("type")
            if {"number", "integer"} & set(kinds if isinstance(kinds, list) else [kinds]):
                assert {"minimum", "maximum", "default"} <= set(rule), where
                assert UNIT.search(rule["description"]), f"{where} names no unit: {rule['description']}"


def without_code(page):
    """The text of a page without its blocks of code, whose comments look like headings."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def headings(page, level=None):
    """The headings of a page, of one level or all."""
    for line in without_code(page).splitlines():
        match = re.match(r"(#+) (.*)", line)
        if match and level in (None, len(match[1])):
            yield match[2]


def anchors(page):
    """The names of the headings of a page, as links use them."""
    for heading in headings(page):
        words = heading.lower().replace("`", "")
        yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if re.match(r"https?:", target):
            continue
        name, _, place = target.partition("#")
        file = page if not name else page.parent / name
        assert file.exists(), f"{page}: {target}"
        assert not place or place in list(anchors(file)), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_of_a_page_are_unique(page):
    names = list(anchors(page))
    # Each release of the changelog has the same two lists.
    if page.name != "CHANGELOG.md":
        assert len(set(names)) == len(names), page


def test_the_table_of_contents_of_the_manual_lists_every_section():
    start, _, rest = MANUAL.read_text().partition("\n## ")
    listed = re.findall(r"^\d+\. \[([^\]]+)\]\(#([^)]+)\)", start, re.MULTILINE)
    assert [title for title, _ in listed] == list(headings(MANUAL, 2))
    for title in headings(MANUAL, 3):
        assert f"[{title}](#" in rest, title


def test_the_readme_leads_to_every_page_and_is_no_more_than_a_page():
    text = (ROOT / "README.md").read_text()
    for page in PAGES[1:]:
        assert page in DECISIONS or f"({page.relative_to(ROOT)})" in text, page
    assert len(text.splitlines()) <= 150
    picture = ROOT / "docs" / "before-after.jpg"
    assert picture.stat().st_size <= 150_000
    assert "](docs/before-after.jpg)" in text


def test_the_architecture_page_links_to_every_decision_and_lists_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for page in DECISIONS:
        assert f"(decisions/{page.name})" in text, page
    layers = text.partition("\n## Layers\n")[2].partition("\n## ")[0]
    packages = [path.parent.name for path in (ROOT / "scripts" / "tapemill").glob("*/__init__.py")]
    assert [name for name in packages if f"`{name}/`" not in layers] == []


def shown(page):
    """The lines of commands on a page: those in its indented blocks."""
    lines = without_code(page).splitlines()
    return [line.strip().partition(" #")[0].strip() for line in lines if line.startswith("    ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_shown_exist(page):
    text = (ROOT / "Snakefile").read_text() + everything_under("rules", "*.smk")
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in shown(page):
        for name in re.findall(r"^(?:python -m )?tapemill (\w+)", line):
            assert name in subcommands(), f"{page}: {line}"
        for name in re.findall(r"^make ([\w-]+)", line):
            assert name in targets, f"{page}: {line}"
        for profile in re.findall(r"--profile (\S+)", line):
            assert (ROOT / profile / "config.yaml").exists() or profile.isupper(), f"{page}: {line}"
        for name in re.findall(r"^(?:snakemake(?: --profile \S+)?|tapemill run) ([a-z_]+)(?= |$)", line):
            assert name in rules, f"{page}: {line}"


@cache
def subcommands():
    """The names that `python -m tapemill` knows, as it says itself."""
    said = io.StringIO()
    with pytest.raises(SystemExit), contextlib.redirect_stderr(said):
        commands.main(["no-such-command"])
    return re.findall(r"[a-z]+", said.getvalue().partition("choose from")[2])


def everything_under(folder, pattern):
    return "\n".join(path.read_text() for path in sorted((ROOT / folder).rglob(pattern)))


TROUBLE = ROOT / "docs" / "troubleshooting.md"


def test_every_class_of_errors_is_explained():
    classes = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TapemillError)
    ]
    text = TROUBLE.read_text()
    assert len(classes) > 10
    for kind in classes:
        assert kind is errors.TapemillError or f"`{kind.__name__}`" in text, kind


def texts():
    """All short texts of the program, with … in the place of what is put in."""
    for path in (ROOT / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 500:
                yield node.value
    for path in (ROOT / "rules").glob("*.smk"):
        yield from (re.sub(r"\{[^}]*\}", "…", text) for text in re.findall(r'f?"([^"\n]+)"', path.read_text()))


def can_be_met(message, known):
    """Whether a text has the words of a message in their order, whatever stands in the place of each …"""
    parts = [part for part in message.split("…") if part.strip()]
    wanted = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    return any(parts[0] in text and wanted.search(text) for text in known)


def test_every_message_that_is_explained_can_be_met():
    pages = TROUBLE.read_text() + (ROOT / "docs" / "lanes.md").read_text()
    cells = re.findall(r"^\| (`.*?`) \|", pages, re.MULTILINE)
    messages = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
    messages = [message for message in messages if not hasattr(errors, message)]
    assert len(messages) > 60
    known = list(texts())
    assert [message for message in messages if not can_be_met(message, known)] == []
    assert not can_be_met("no such message … at all", known)


STAGE = ROOT / "docs" / "adding-a-stage.md"


def apply(page, checkout):
    """Do in a checkout what the page says: write new files, put lines before or after others."""
    steps = re.findall(r"([^\n]*(?:\n[^\n`]+)?)\n\n```\w+\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(steps) == 8
    for words, text in steps:
        sentence = " ".join(words.split())
        if new := re.search(r"A new file, `([^`]+)`$", sentence):
            (checkout / new[1]).parent.mkdir(parents=True, exist_ok=True)
            (checkout / new[1]).write_text(text)
            continue
        found = re.search(r"`([^`]+)`, (before|after) `([^`]+)`$", " ".join(words.splitlines()))
        assert found, sentence
        file, where, anchor = checkout / found[1], found[2], found[3]
        lines = file.read_text().split("\n")
        place = next(number for number, line in enumerate(lines) if line.startswith(anchor)) + (where == "after")
        lines[place:place] = text.rstrip("\n").split("\n")
        file.write_text("\n".join(lines))


def check_that_readers_know_the_stage(project):
    """The added stage is one to status, metrics, plan, disk usage and provenance."""

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(project.checkout / "scripts"), "COLUMNS": "250"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert "waveform" in python("-m", "tapemill", "status")
    assert re.search(
        r'tapemill_jobs\{.*rule="draw_waveform".*stage="waveform".*tape="one".*\} 1',
        python("-m", "tapemill", "metrics"),
    )
    assert "waveform" in project.make("show_plan").output
    code = "from tapemill.provenance.run_history import job_runs; print(*job_runs('one', []))"
    assert "('draw_waveform', '')" in python("-c", code)
    code = "from tapemill.core.rule_catalog import tape_rules; print(*tape_rules())"
    assert "draw_waveform" in python("-c", code).split()


@pytest.mark.long
def test_the_stage_that_is_added_in_the_manual_works(tmp_path):
    checkout = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if not name.startswith(("tests/", "docs/", ".ci/")) and (ROOT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name, follow_symlinks=False)
    apply(STAGE, checkout)
    project = Project(tmp_path / "work")
    project.checkout = checkout
    make_capture(project.path("one.mkv"), frames=50, size=(320, 240))
    project.sheet({"tape": "one", "source": "one.mkv", "language": "en"})
    target = "results/one/waveform.png"
    assert project.make(target).jobs["draw_waveform"] == 1
    picture = cv2.imread(str(project.path(target)))
    assert picture.shape == (160, 1200, 3)
    # The beeps of the test's tape: not all of one colour.
    assert picture.std() > 1
    check_that_readers_know_the_stage(project)
    assert not project.make(target).jobs
    project.configure(tape={"chapters": False})
    assert not project.make(target).jobs
    project.configure(waveform={"width_samples": 600})
    assert project.make(target).jobs == {"draw_waveform": 1}
    project.configure(waveform={"width": 600})
    refused = project.run(target)
    assert refused.exit_code != 0
    assert "did you mean 'width_samples'?" in refused.output
