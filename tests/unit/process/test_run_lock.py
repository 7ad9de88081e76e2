import json
import os
import subprocess
import sys

import pytest

from tapemill.core.errors import FatalError
from tapemill.process import run_lock
from tests.support.project import ROOT

HOLDER = """
import sys; from pathlib import Path
from tapemill.process import run_lock as runlock
runlock.acquire(Path(sys.argv[1])); print("held", flush=True); sys.stdin.read()
"""


def start_holder(folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_second_run_is_refused_with_who_holds_it_and_a_killed_one_leaves_nothing(tmp_path):
    with start_holder(tmp_path) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FatalError, match=f"process {holder.pid}"):
            run_lock.acquire(tmp_path)
        holder.kill()
        holder.wait()
    with start_holder(tmp_path) as next_holder:
        assert next_holder.stdout.readline() == b"held\n"
        next_holder.kill()


def test_a_run_that_planned_while_another_one_was_ending_is_refused(tmp_path):
    hold = "import sys; from pathlib import Path; from tapemill.process import run_lock; folder = Path(sys.argv[1]); "
    hold += "run_lock.acquire(folder, int(sys.argv[2]) if sys.argv[2] else None)"

    def start(planned_on):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
        command = [sys.executable, "-c", hold, str(tmp_path), "" if planned_on is None else str(planned_on)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert run_lock.change_marker(tmp_path) is None
    # The first run ever: Snakemake makes its folders after it was asked.
    marks = tmp_path / "incomplete"
    marks.mkdir()
    assert start(None).returncode == 0
    before = run_lock.change_marker(tmp_path)
    assert start(before).returncode == 0
    # A job of the run before ends.
    (marks / "output").touch()
    (marks / "output").unlink()
    refused = start(before)
    assert refused.returncode != 0
    assert "was just ending in this folder" in refused.stderr
    assert start(run_lock.change_marker(tmp_path)).returncode == 0


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[1]", "7"])
def test_a_lock_that_does_not_name_its_holder_is_refused_all_the_same(tmp_path, content):
    with start_holder(tmp_path) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert run_lock.holder(tmp_path)["pid"] == holder.pid
        (tmp_path / run_lock.LOCK).write_text(content)
        assert run_lock.holder(tmp_path) is None
        with pytest.raises(FatalError, match="it has only just started"):
            run_lock.acquire(tmp_path)
        assert not run_lock.is_held()
        holder.communicate()
    assert holder.returncode == 0


def test_a_folder_that_was_never_locked_has_no_holder(tmp_path):
    assert run_lock.holder(tmp_path) is None


def test_a_lock_names_its_holder_to_whoever_reads_it(tmp_path):
    with start_holder(tmp_path) as holder:
        assert holder.stdout.readline() == b"held\n"
        found = json.loads((tmp_path / run_lock.LOCK).read_text())
        assert set(found) == {"pid", "host", "since", "command"}
        holder.communicate()
    # It stays written after the end; the kernel's lock does not.
    with start_holder(tmp_path) as later:
        assert later.stdout.readline() == b"held\n"
        later.communicate()
