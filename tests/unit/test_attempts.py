from pathlib import Path

import pytest

from tapemill import attempts
from tapemill.errors import OutOfMemory, SceneError, WorkerLost

LOG = Path("logs/enhance_scene/T01/0000000.log")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_each_lack_of_memory_is_a_step_down_and_other_hiccups_are_none():
    attempts.failed("run", LOG, OutOfMemory("too little"))
    attempts.failed("run", LOG, WorkerLost("gone"))
    attempts.failed("run", LOG, OutOfMemory("too little"))
    past = attempts.read("run", LOG)
    assert len(past.messages) == 3
    assert past.messages[1] == "WorkerLost: gone"
    assert past.steps_down == 2
    assert not past.is_final


def test_an_error_that_will_not_pass_is_remembered():
    attempts.failed("run", LOG, SceneError("corrupt", file="a.mkv"))
    past = attempts.read("run", LOG)
    assert past.is_final
    assert "corrupt" in past.messages[0]
    assert past.exit_code == SceneError.exit_code


def test_another_run_another_job_and_a_success_start_afresh():
    attempts.failed("run", LOG, SceneError("corrupt"))
    assert attempts.read("later", LOG) == attempts.Past()
    assert attempts.read("run", Path("logs/enhance_scene/T01/0000050.log")) == attempts.Past()
    attempts.succeeded(LOG)
    assert attempts.read("run", LOG) == attempts.Past()


def test_without_a_run_nothing_is_noted():
    attempts.failed(None, LOG, SceneError("corrupt"))
    assert not attempts.NOTES.exists()


def test_a_damaged_note_counts_nothing():
    attempts.failed("run", LOG, SceneError("corrupt"))
    next(attempts.NOTES.rglob("*.json")).write_text("{")
    assert attempts.read("run", LOG) == attempts.Past()
