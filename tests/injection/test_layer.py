"""The fault layer itself, on a small program: what it sees, and that one call fails and no other."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.injection import layer
from tests.injection.points import Point, Site, read_record
from tests.support.polling import wait_for
from tests.support.project import this_checkout

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="the layer has to be compiled, and there is no `cc`")

NAMES = ("10", "11", "12")
PROGRAM = """
from pathlib import Path
from tapemill.storage.atomic import write_text
Path("results").mkdir()
for name in ("10", "11", "12"):
    old = Path(f"results/{name}.old")
    old.touch()
    try:
        write_text(Path(f"results/{name}.srt"), "hello")
        old.unlink()
    except Exception as error:
        print(name, getattr(error.__cause__ or error, "errno", error))
"""
STAGING, FINAL = "results/.partial/*/[0-9]*.srt", "results/[0-9]*.srt"
PLACE = "tapemill/storage/atomic.py"
SITES = {
    "write": Site("python", "write", f"{PLACE}:write_text", STAGING),
    "fsync": Site("python", "fsync", f"{PLACE}:sync", STAGING),
    "rename": Site("python", "rename", f"{PLACE}:staged", FINAL),
    "unlink": Site("python", "unlink", "pathlib.py:unlink", "results/[0-9]*.old"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return layer.build(tmp_path_factory.mktemp("layer"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def start(folder, environment):
    # Its name is its role, whatever the interpreter's is.
    command = ["python", "-c", PROGRAM]
    return subprocess.Popen(
        command,
        executable=sys.executable,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": this_checkout()} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_each_call_is_recorded_with_its_place_in_the_code(library, folder):
    record = folder.with_name("record")
    start(folder, layer.recording(library, folder, record)).communicate()
    calls = read_record(record)
    assert {calls[site] for site in SITES.values()} == {len(NAMES)}
    assert calls[SITES["fsync"]._replace(glob="results")] == len(NAMES)


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("kind", SITES)
def test_one_call_fails_and_no_other(library, folder, kind, fault):
    injection = layer.Injection(library, folder, Point("nothing", SITES[kind], 2, fault))
    said, _ = start(folder, injection.environment).communicate()
    assert said == f"11 {getattr(errno, fault)}\n"
    assert injection.state().is_hit
    assert Path(injection.state().path).stem == "11"
    made = {path.stem for path in (folder / "results").glob("*.srt")}
    assert made == set(NAMES) - (set() if kind == "unlink" else {"11"})


def test_a_process_is_killed_in_the_middle_of_a_write(library, folder):
    injection = layer.Injection(library, folder, Point("nothing", SITES["write"], 2, "kill-process"))
    process = start(folder, injection.environment)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    (staged,) = (folder / "results").rglob("11.srt")
    assert staged.read_text() == "he"


def test_a_run_waits_at_the_call_at_which_it_is_to_be_killed(library, folder):
    injection = layer.Injection(library, folder, Point("nothing", SITES["rename"], 3, "kill-run"))
    process = start(folder, injection.environment)
    wait_for(lambda: injection.state().is_hit)
    assert injection.state().pid == process.pid
    process.kill()
    process.communicate()
    assert {path.stem for path in (folder / "results").glob("*.srt")} == {"10", "11"}
