"""A dozen of the damaged captures of `make test-hostile`. The seed is printed if it fails; TAPEMILL_SEED sets it."""

import os
import re
import subprocess
import sys
import time

from tests.support.media.damage import KINDS, WAYS, inputs
from tests.support.project import ROOT


def test_a_dozen_damaged_captures_become_tapes_or_clear_errors():
    seed = os.environ.get("TAPEMILL_SEED") or str(int(time.time()))
    command = [sys.executable, "-m", "tests.hostile.drive", "--inputs", "13", "--seed", seed, "--at-once", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"seed {seed}" in done.stdout
    assert re.search(r"inputs tried +13\n", done.stdout)


def test_the_same_seed_makes_the_same_inputs_of_every_kind():
    files = {name: bytes(range(256)) * 8 + name.encode() for name, *_ in KINDS}
    first, second = (list(inputs(files, count=200, seed=3)) for _ in range(2))
    assert first == second
    assert [one.data for one in inputs(files, count=200, seed=4)] != [one.data for one in first]
    pairs = {one.how.partition(" with ")[0] for one in first}
    assert pairs == {f"{name}, {way}" for name in files for way in WAYS}
