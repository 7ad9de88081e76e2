from pathlib import Path

import pytest

from tapemill.core.errors import ConfigError, OutOfMemory, SceneError, WorkerLost
from tapemill.core.job_warnings import JobWarning
from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import Failure, JobNote

LOG = Path("logs/enhance_scene/T01/0000000.log")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def attempt(error=None, run="run", log=LOG, notices=()):
    """One attempt of a job, which fails of `error`; what it knew of those before."""
    past = attempt_store.before(run, log)
    attempt_store.started(run, past)
    if error is None:
        attempt_store.succeeded(run, past, notices)
    else:
        attempt_store.failed(run, past, Failure.of(error, log))
    return past


def test_each_lack_of_memory_is_a_step_down_and_other_hiccups_are_none():
    for error in (OutOfMemory("too little"), WorkerLost("gone"), OutOfMemory("too little")):
        attempt(error)
    past = attempt_store.before("run", LOG)
    assert [failure.text for failure in past.failures][1] == "WorkerLost: gone"
    assert len(past.failures) == 3
    assert attempt_store.steps_down("run", LOG) == 2
    assert not past.is_final


@pytest.mark.parametrize("error", [SceneError("corrupt", file="a.mkv"), ConfigError("wrong")])
def test_an_error_that_will_not_pass_is_remembered(error):
    attempt(error)
    past = attempt_store.before("run", LOG)
    assert past.is_final
    assert past.failures[0].exit_code == error.exit_code
    assert past.failures[0].reason == f"{type(error).__name__}: {error.what}"
    assert str(error) in past.failures[0].text


def test_what_nobody_foresaw_is_tried_once_more():
    attempt(ZeroDivisionError("a fault of ours"))
    assert not attempt_store.before("run", LOG).is_final
    attempt(WorkerLost("gone"))
    assert not attempt_store.before("run", LOG).is_final
    attempt(ZeroDivisionError("a fault of ours"))
    assert attempt_store.before("run", LOG).is_final


def test_an_attempt_that_ended_without_a_word_is_counted():
    attempt_store.started("run", attempt_store.before("run", LOG))
    past = attempt_store.before("run", LOG)
    assert [failure.kind for failure in past.failures] == ["lost"]
    assert not past.is_final


def test_another_run_another_job_and_a_success_start_afresh():
    attempt(SceneError("corrupt"))
    assert attempt_store.before("later", LOG) == JobNote(str(LOG))
    assert attempt_store.before("run", Path("logs/enhance_scene/T01/0000050.log")).failures == ()
    attempt(WorkerLost("gone"), run="other")
    attempt(run="other")
    assert attempt_store.before("other", LOG) == JobNote(str(LOG))


def test_without_a_run_nothing_is_noted():
    attempt(SceneError("corrupt"), run=None)
    attempt(run=None, notices=[JobWarning("kept", "why")])
    assert not attempt_store.NOTES.exists()


def test_a_damaged_note_counts_nothing(caplog):
    attempt(SceneError("corrupt"))
    next(attempt_store.NOTES.rglob("*.json")).write_text("{")
    assert attempt_store.before("run", LOG) == JobNote(str(LOG))
    assert list(attempt_store.of_run("run")) == []
    assert "damaged" in caplog.text


def test_a_run_leaves_notes_only_of_what_there_is_to_tell_until_the_next_one_begins():
    attempt()
    attempt(WorkerLost("gone"), log=Path("logs/cut_scene/T01/0000050.log"))
    attempt(log=Path("logs/cut_scene/T01/0000050.log"))
    attempt(SceneError("corrupt"), log=Path("logs/mux_tape/T01.log"))
    attempt(log=Path("logs/enhance_scene/T01/0000050.log"), notices=[JobWarning("kept", "why")])
    notes = {note.names: note for note in attempt_store.of_run("run")}
    assert {names: note.state for names, note in notes.items()} == {
        ("cut_scene", "T01", "0000050"): "done",
        ("enhance_scene", "T01", "0000050"): "done",
        ("mux_tape", "T01", ""): "failed",
    }
    assert notes["enhance_scene", "T01", "0000050"].notices == (JobWarning("kept", "why"),)
    attempt_store.begin("run")
    assert len(list(attempt_store.of_run("run"))) == 3
    attempt_store.begin("next")
    assert list(attempt_store.of_run("run")) == []


def test_a_note_that_cannot_be_written_hides_no_error(caplog):
    attempt_store.NOTES.parent.mkdir()
    attempt_store.NOTES.write_text("a file where a folder should be")
    attempt_store.failed("run", JobNote(str(LOG)), Failure.of(SceneError("corrupt"), LOG))
    assert "cannot be written" in caplog.text
