import subprocess
import sys
from pathlib import Path

import pytest

from tapemill import runlock
from tapemill.errors import FatalError

HOLDER = """
import sys; from pathlib import Path; from tapemill import runlock
runlock.hold(Path(sys.argv[1])); print("held", flush=True); sys.stdin.read()
"""


def start_holder(folder):
    environment = {"PYTHONPATH": str(Path(runlock.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_second_run_is_refused_with_who_holds_it_and_a_killed_one_leaves_nothing(tmp_path):
    with start_holder(tmp_path) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FatalError, match=f"process {holder.pid}"):
            runlock.hold(tmp_path)
        holder.kill()
        holder.wait()
    with start_holder(tmp_path) as next_holder:
        assert next_holder.stdout.readline() == b"held\n"
        next_holder.kill()
