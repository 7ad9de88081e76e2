"""What a run sees to in Slurm's queue, with programs that stand for Slurm's; the real ones are those of tests/slurm."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from tapemill.cluster import slurm
from tapemill.core.errors import FatalError, SetupError

SQUEUE = """#!/bin/sh
echo "squeue $*" >> {folder}/asked
cat {folder}/queue
"""
# The jobs are about to end, and are gone when squeue was asked once more.
SCANCEL = """#!/bin/sh
echo "scancel $*" >> {folder}/asked
(sleep 0.7; : > {folder}/queue) &
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Folder of Slurm's programs; the file `queue` holds numbers of jobs, `asked` what was asked."""
    for name, text in {"squeue": SQUEUE, "scancel": SCANCEL}.items():
        (tmp_path / name).write_text(text.format(folder=tmp_path))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "queue").write_text("")
    (tmp_path / "asked").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_jobs_of_a_killed_run_are_cancelled_and_waited_for(queue):
    names = queue / slurm.RUN_NAMES
    names.write_text("one-run\n")
    (queue / "queue").write_text("11\n12\n")
    slurm.cancel_orphans(names)
    assert "scancel --name=one-run" in (queue / "asked").read_text().splitlines()
    assert (queue / "queue").read_text() == ""
    assert not names.exists()


def test_nobody_is_asked_where_no_run_was_killed(queue):
    slurm.cancel_orphans(queue / slurm.RUN_NAMES)
    assert (queue / "asked").read_text() == ""


def test_a_run_does_not_begin_while_jobs_of_another_do_not_end(queue, monkeypatch):
    monkeypatch.setattr(slurm, "CANCEL_TIMEOUT_S", 0.1)
    (queue / "scancel").write_text("#!/bin/sh\n")
    names = queue / slurm.RUN_NAMES
    names.write_text("one-run\n")
    (queue / "queue").write_text("11\n")
    with pytest.raises(FatalError, match="jobs 11 of an earlier run do not end") as error:
        slurm.cancel_orphans(names)
    assert "scancel --name=one-run" in str(error.value)
    assert names.exists()


def test_a_machine_that_cannot_ask_says_so(queue):
    names = queue / slurm.RUN_NAMES
    names.write_text("one-run\n")
    (queue / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
    with pytest.raises(FatalError, match="no controller") as error:
        slurm.cancel_orphans(names)
    assert str(names) in str(error.value)


def test_an_end_with_jobs_that_have_yet_to_end_leaves_their_name(queue):
    names = queue / slurm.RUN_NAMES
    names.write_text("one-run\n")
    (queue / "queue").write_text("11\n")
    slurm.remove_run_names(names)
    assert names.exists()
    (queue / "queue").write_text("")
    slurm.remove_run_names(names)
    assert not names.exists()


class Executor:
    """Waits for all of its jobs, as Snakemake's does for those that are in no state it knows the end of."""

    run_uuid = "one-run"
    logger = logging.getLogger("executor")

    def __init__(self):
        self.failed = {}

    async def check_active_jobs(self, jobs):
        for job in jobs:
            yield job

    def report_job_error(self, job, msg):
        self.failed[job.external_jobid] = msg


def waited_for(executor, *jobs):
    """Those of some jobs that are still waited for after a look."""

    async def look():
        return [job.external_jobid async for job in executor.check_active_jobs(submitted)]

    submitted = [SimpleNamespace(external_jobid=job) for job in jobs]
    return asyncio.run(look())


def test_a_job_that_was_preempted_and_is_not_in_the_queue_again_has_failed(queue, caplog):
    executor = Executor()
    slurm.fail_preempted_jobs(executor)
    assert waited_for(executor, "11", "12") == ["11", "12"]
    (queue / "queue").write_text("11\n")
    assert waited_for(executor, "11", "12") == ["12"]
    assert list(executor.failed) == ["11"]
    assert "'11' was preempted" in caplog.text
    asked = (queue / "asked").read_text()
    assert "--states=PREEMPTED" in asked
    assert "--name=one-run" in asked


def test_jobs_are_waited_for_while_the_queue_does_not_answer(queue):
    executor = Executor()
    slurm.fail_preempted_jobs(executor)
    (queue / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
    assert waited_for(executor, "11") == ["11"]
    assert not executor.failed


def config(accounting="accounting_storage/slurmdbd", age="300 sec"):
    return f"Configuration data\nAccountingStorageType   = {accounting}\nMinJobAge               = {age}\n"


@pytest.mark.parametrize(
    ("command", "said", "wrong"),
    [
        ("sacct", config(), None),
        ("squeue", config("accounting_storage/none"), None),
        ("squeue", config(age="60 sec"), "MinJobAge"),
        ("sacct", config(age="60 sec"), None),
        ("sacct", config("accounting_storage/none"), "keeps no accounts"),
        ("sacct", config("(null)"), "keeps no accounts"),
    ],
)
def test_a_run_that_could_never_learn_how_its_jobs_end_is_not_begun(command, said, wrong):
    if wrong is None:
        slurm.check_status_command(command, said)
        return
    with pytest.raises(SetupError, match=wrong):
        slurm.check_status_command(command, said)
