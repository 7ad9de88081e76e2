"""Patches are applied where a plan is made, and the version that they are for is the one that runs."""

import subprocess
import sys

import pytest

from tapemill.core.errors import SetupError
from tapemill.snakemake_compat.version import check_version
from tests.support.project import ROOT

CODE = """
import gc, sys
import snakemake.api
from snakemake.dag import DAG
from snakemake import common
from tapemill.snakemake_compat.planning import prepare_planning
before = DAG.bfs, common.get_function_params, gc.get_threshold()
prepare_planning(sys.argv[1:], lambda path: False)
print(sum(a is not b and a != b for a, b in zip(before, (DAG.bfs, common.get_function_params, gc.get_threshold()))))
"""


def patched(*arguments):
    """How many of three things are patched for a command line of Snakemake."""
    command = [sys.executable, "-c", CODE, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "scripts").stdout)


@pytest.mark.parametrize("option", ["--lint", "--list-rules", "-l", "--list-target-rules", "--lint=json"])
def test_nothing_is_patched_while_rules_are_only_read(option):
    assert patched(option) == 0


def test_a_plan_is_made_with_all_patches():
    assert patched("all", "-n") == 3


@pytest.mark.parametrize("version", ["9.27.0", "9.28.0", "8.30.0", "10.0"])
def test_another_version_is_refused_in_one_sentence(version):
    match = r"this is Snakemake .*, but Tapemill needs 9\.27\.1 or a later 9\.27"
    with pytest.raises(SetupError, match=match) as error:
        check_version(version)
    assert "make setup" in str(error.value)


@pytest.mark.parametrize("version", ["9.27.1", "9.27.12", None])
def test_the_version_of_the_lock_is_accepted(version):
    check_version(version)
