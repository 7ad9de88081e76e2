"""Names that users may have typed or written into scripts go on working."""

import subprocess
import sys

import pytest

from tests.support.media.frame_codes import make_capture
from tests.support.project import ROOT, Project

RULES = {"models": "fetch_models", "plan": "show_plan", "clean": "clean_tapes", "so_far": "report_finished"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    made = Project(tmp_path_factory.mktemp("old") / "project")
    make_capture(made.path("one.mkv"), frames=50, size=(320, 240))
    made.sheet({"tape": "one", "source": "one.mkv", "language": "en"})
    return made


@pytest.mark.parametrize("old", RULES)
def test_an_old_rule_name_is_still_a_target(project, old):
    run = project.run(old, "-n")
    assert run.exit_code == 0, run.output


def test_plan_and_clean_do_what_their_new_names_do(project):
    assert "one" in project.run("plan").output
    assert project.run("clean").exit_code == 0


@pytest.mark.parametrize("command", ["doctor", "status", "metrics", "same"])
def test_commands_of_the_package_are_those_of_the_program(command):
    done = subprocess.run(
        [sys.executable, "-m", "tapemill", command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert f"usage: tapemill {command}" in done.stdout
