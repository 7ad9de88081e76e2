"""`make coverage`: the modules of its list are there, and it runs the tests of each."""

import subprocess
import tomllib

import pytest

from tests.support.project import ROOT

LIBRARY = ROOT / "scripts" / "tapemill"
INCLUDE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["report"]["include"]
MODULES = {pattern: [path for path in ROOT.glob(pattern) if path.name != "__init__.py"] for pattern in INCLUDE}


def paths_run():
    make = ["make", "--dry-run", "coverage"]
    steps = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    (step,) = [step for step in steps if "-m pytest" in step]
    return [ROOT / word for word in step.split() if word.startswith("tests/")]


@pytest.mark.parametrize("pattern", INCLUDE)
def test_the_modules_that_must_be_covered_are_there(pattern):
    # coverage.py takes a pattern that fits nothing for fulfilled.
    assert MODULES[pattern]


def test_the_tests_of_each_module_are_run():
    run = paths_run()
    assert all(path.exists() for path in run)
    for module in (module for modules in MODULES.values() for module in modules):
        folder, name = module.parent.relative_to(LIBRARY), f"test_{module.stem}.py"
        known = [ROOT / "tests/unit" / folder / name, ROOT / "tests/workflow/patches" / name]
        assert any(path.is_file() and (path in run or path.parent in run) for path in known), module
