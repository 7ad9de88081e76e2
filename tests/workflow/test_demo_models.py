"""The recipes of the demo's models, outside the workflow of the tapes."""

import re
import subprocess
import sys

from tests.support.project import ROOT

RECIPES = ROOT / "demo" / "training" / "Snakefile"


def test_the_recipes_are_planned_from_the_root_of_the_checkout(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(RECIPES), "--cores", "2", "-n", "--forceall"]
    # The demo tape is made by the workflow, and is not there in a fresh checkout.
    command += ["resources/demo/training/demo-en.pt", "resources/demo/training/demo-compact.safetensors"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for rule in ("make_speech_corpus", "train_demo_model", "make_restoration_pairs", "train_demo_network"):
        assert rule in done.stdout + done.stderr


def test_each_recipe_has_a_script_of_its_name():
    rules = set(re.findall(r"^rule (\w+):", RECIPES.read_text(), re.MULTILINE)) - {"all"}
    assert rules == {path.stem for path in (RECIPES.parent / "scripts").glob("*.py")}
