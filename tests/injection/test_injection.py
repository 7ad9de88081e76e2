"""Some points of the suite: `make test-injection` tries all of them."""

import shutil

import pytest

from tests.injection.points import Point, Site
from tests.injection.starts import NOTHING, prepare
from tests.injection.trial import attempt

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("cc"), reason="the layer has to be compiled, and there is no `cc`"),
]

STAGED = "tapemill/storage/atomic.py:staged"
TAPE = Site("job", "rename", STAGED, "results/T/T.mkv")
CLIP = Site("worker>ffmpeg", "write", "-", "results/.partial/*/T/enhanced/[0-9]*.mkv")
RECORD = Site("snakemake", "write", "snakemake/persistence/file.py:_io_write", ".snakemake/metadata/*")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("injection"), later=["enhance_scene"])


def test_the_calls_of_all_kinds_of_processes_are_seen(prepared):
    sites = prepared.recordings[NOTHING]
    assert {TAPE, CLIP, RECORD} <= sites.keys()


@pytest.mark.parametrize(
    ("site", "number", "fault", "is_success"),
    [
        # The run is killed before the tape gets its name. A clip is not written, or Snakemake's record of it.
        # In both cases the job is tried again.
        (TAPE, 1, "kill-run", False),
        (CLIP, 2, "EIO", True),
        (RECORD, 3, "ENOSPC", True),
    ],
)
def test_the_same_command_makes_the_tape_after_a_fault(prepared, site, number, fault, is_success):
    outcome = attempt(prepared, Point("enhance_scene", site, number, fault))
    assert not outcome.troubles
    assert outcome.is_reached
    assert (outcome.exit_code == 0) == is_success
