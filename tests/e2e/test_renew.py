"""A finished tape stays as it was made when Tapemill itself changes, until `tapemill renew`."""

import json
import os
import subprocess
import sys

import pytest

from tapemill.core.errors import ConfigError
from tapemill.core.recipes import RECIPES
from tapemill.workflow.tape_recipe import todays_recipe
from tests.support.project import this_checkout

RECIPE = "results/T01/recipe.json"


def made_by(project, *, stages=None, defaults=None, version="0.1"):
    """Give the tape the recipe of an older version: what differs from today."""
    path = project.path(RECIPE)
    content = json.loads(path.read_text())
    content["version"] = version
    content["stages"] |= stages or {}
    for section, values in (defaults or {}).items():
        content["defaults"][section] |= values
    path.write_text(json.dumps(content))


def renew(project, *arguments):
    command = [sys.executable, "-m", "tapemill", "renew", *arguments]
    environment = os.environ | {"PYTHONPATH": this_checkout()}
    done = subprocess.run(command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_tape_has_the_recipe_it_was_begun_with(finished):
    content = json.loads(finished.path(RECIPE).read_text())
    assert content["stages"] == dict(RECIPES)
    assert content == todays_recipe().to_plain()


def test_other_defaults_and_another_order_of_keys_make_nothing_again_and_are_told(copy):
    """As if the version that made the tape had had another default, which the tape was made with."""
    made_with_another_default = {"audio": {"hiss_db": 6}}
    copy.configure(**made_with_another_default)
    copy.make("all")
    # The owner wrote nothing; it was the default of that version.
    copy.configure()
    made_by(copy, defaults=made_with_another_default)
    run = copy.make("all")
    assert not run.jobs
    assert "Tapes made by an older recipe, which stay as they are: 1 (T01)" in run.output
    # What the owner sets is another matter.
    copy.configure(audio={"hum_hz": 50})
    assert set(copy.make("all").jobs) == {"clean_sound", "mux_tape", "write_provenance"}
    provenance = json.loads(copy.path("results/T01/provenance.json").read_text())
    assert provenance["how"]["settings"]["audio"]["hiss_db"] == 6
    assert provenance["how"]["settings"]["audio"]["hum_hz"] == 50


def test_a_finished_tape_of_an_older_recipe_is_made_anew_by_renew_alone(copy):
    numbers = {"enhance": RECIPES["enhance"] - 1}
    # Made by that recipe, as far as Snakemake knows.
    assert not copy.make("all").jobs
    made_by(copy, stages=numbers)
    for path in copy.path(".snakemake/metadata").rglob("*"):
        if path.is_file():
            values = json.loads(path.read_text())
            params = values.get("params", [])
            values["params"] = [older(param, numbers) for param in params]
            path.write_text(json.dumps(values))
    before = copy.path("results/T01/T01.mkv").read_bytes()
    run = copy.make("all")
    assert not run.jobs
    assert "Tapes made by an older recipe" in run.output
    # A title does not concern the stage; other clips would.
    copy.sheet({"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "New", "field_order": "tff"})
    assert dict(copy.make("all").jobs) == {"mux_tape": 1, "write_provenance": 1}
    copy.configure(enhance={"sharpen": 0.3})
    refused = copy.run("all")
    assert refused.exit_code == 1
    assert "`tapemill renew T01` makes all of it anew; or undo the change" in refused.output
    assert not refused.jobs
    copy.configure()
    assert not copy.make("all").jobs
    code, said = renew(copy, "T01")
    assert code == 0
    assert f"T01: recipe {numbers['enhance']} of the stage enhance, now {RECIPES['enhance']}" in said
    jobs = copy.make("all").jobs
    assert jobs["enhance_scene"] == 4
    assert not {"transcribe_scene", "probe_capture", "clean_sound"} & set(jobs)
    assert copy.path("results/T01/T01.mkv").read_bytes() != before
    code, said = renew(copy, "--all")
    assert code == 0
    assert "No tape has an older recipe" in said


def older(param, numbers):
    """A recorded param as it was with other recipe numbers."""
    now = RECIPES | numbers
    return (
        param.replace(repr([RECIPES["scenes"], RECIPES["enhance"]]), repr([now["scenes"], now["enhance"]]))
        .replace(f"enhance={RECIPES['enhance']}", f"enhance={now['enhance']}")
        .replace(f"'enhance': {RECIPES['enhance']}", f"'enhance': {now['enhance']}")
    )


def test_a_tape_in_work_that_an_older_version_began_says_why_it_cannot_go_on(copy):
    copy.path("results/T01/T01.mkv").unlink()
    made_by(copy, stages={"enhance": RECIPES["enhance"] - 1})
    run = copy.run("all")
    assert run.exit_code == 1
    assert "tape T01 was begun by Tapemill 0.1, and the stages enhance work differently now" in run.output
    assert "`tapemill renew T01` makes it anew; or finish it with that version" in run.output
    assert not run.jobs


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"version": 1}', "[" * 100_000])
def test_a_damaged_recipe_costs_its_tape_and_names_the_remedy(copy, content):
    copy.path(RECIPE).write_text(content)
    run = copy.run("all", "-n")
    assert "the recipe of tape T01 cannot be read" in run.output
    assert "Traceback" not in run.output


def test_renew_asks_for_tapes_by_name(copy):
    code, said = renew(copy)
    assert code == ConfigError.exit_code
    assert "name tapes, or all with `--all`" in said
    code, said = renew(copy, "T99")
    assert code == ConfigError.exit_code
    assert "there is no tape 'T99'" in said
    assert renew(copy, "T01") == (0, "T01: it has the recipe of this version\n")


def test_a_row_of_which_nothing_was_made_does_not_keep_other_tapes_from_being_renewed(copy):
    copy.sheet(
        {"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "Counting", "field_order": "tff"},
        {"tape": "T02", "source": "captures/nowhere.mkv"},
    )
    made_by(copy, stages={"enhance": RECIPES["enhance"] - 1})
    code, said = renew(copy, "--all")
    assert code == 0, said
    assert "T01: recipe" in said
    assert "T02" not in said
