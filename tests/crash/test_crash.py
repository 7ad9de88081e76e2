"""After a blow at any moment the same command goes on, and the tape is the one an undisturbed run makes.

TAPEMILL_KILLS says how many blows fall (`make test-crash`: 50), TAPEMILL_SEED repeats what fell when and on what; the
machine's own timing cannot be repeated.
"""

import os
import secrets
from random import Random

import pytest

from tests.crash.driver import Driver
from tests.crash.reference_run import undisturbed
from tests.support.project import this_checkout


@pytest.fixture(scope="module", autouse=True)
def own_folders(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Lanes are leased for the user, whatever the working folder.
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        patch.setenv("PYTHONPATH", this_checkout())
        yield


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("peace") / "project")


def test_every_result_is_on_disk_before_it_gets_its_name(truth):
    assert {"results/T/T.mkv", "results/T/capture.json", "results/T/scenes.tsv"} <= truth.digests.keys()
    assert not truth.unsynced


def test_a_tape_survives_blows_at_random_moments(truth, tmp_path):
    kills = int(os.environ.get("TAPEMILL_KILLS", "2"))
    seed = int(os.environ.get("TAPEMILL_SEED", secrets.randbelow(1_000_000)))
    print(f"\nTAPEMILL_SEED={seed} TAPEMILL_KILLS={kills}", flush=True)  # noqa: T201
    driver = Driver(tmp_path, truth, Random(seed), kills)
    try:
        driver.drive()
    finally:
        print(driver.report(), flush=True)  # noqa: T201
    assert len(driver.struck) == kills
