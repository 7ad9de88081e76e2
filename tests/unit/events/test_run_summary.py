import logging
from pathlib import Path

import pytest

from tapemill.core.errors import ConfigError, GateError, ToolKilled
from tapemill.core.job_warnings import JobWarning
from tapemill.events import run_summary
from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import Failure
from tapemill.process import abort


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def job(log, *errors, notices=(), ends=True):
    """A job that fails of these errors and then, unless the last is final, succeeds."""
    path = Path("logs", f"{log}.log")
    for number, error in enumerate(errors, 1):
        past = attempt_store.before("run", path)
        attempt_store.started("run", past)
        attempt_store.failed("run", past, Failure.of(error, path.with_suffix(f".attempt{number}.log")))
    past = attempt_store.before("run", path)
    if not past.is_final:
        attempt_store.started("run", past)
        if ends:
            attempt_store.succeeded("run", past, notices)


def told(*failed_logs):
    return "\n".join(text for _, text in run_summary.told(run_summary.facts("run", failed_logs)))


def test_one_line_if_all_went_well():
    job("mux_tape/T01")
    assert told() == "Nothing failed, nothing was replaced."


def test_each_failed_job_is_named_with_its_first_line_and_the_log_that_says_why():
    job("mux_tape/T01", GateError("the tape is\ntoo short", file="T01.mkv", remedy="look"))
    assert told("logs/mux_tape/T01.log") == (
        "1 job failed:\n  mux_tape T01: GateError: the tape is\n    log: logs/mux_tape/T01.attempt1.log"
    )


def test_jobs_that_died_without_a_word_are_failed_only_if_snakemake_says_so():
    job("cut_scene/T01/0000000", ends=False)
    job("cut_scene/T01/0000050", ends=False)
    text = told("logs/cut_scene/T01/0000000.log", "logs/probe_capture/T02.log")
    assert "2 jobs failed" in text
    assert f"cut_scene T01 0000000: {attempt_store.LOST}" in text
    assert "probe_capture T02: Snakemake says why" in text
    assert "1 job interrupted" in text


def test_a_replaced_scene_is_named_once_with_the_log_of_the_job_that_replaced_it():
    why = "SceneError: corrupt"
    job("enhance_scene/T01/0000050", notices=[JobWarning("kept", why), JobWarning("lowered", "smaller tiles")])
    job(
        "mux_tape/T01",
        notices=[JobWarning("kept", why, scene="0000050"), JobWarning("stands_in", "2 of 9", scene="0000100")],
    )
    text = told()
    assert text.count("0000050: its picture is only deinterlaced (SceneError: corrupt)") == 1
    assert "log: logs/enhance_scene/T01/0000050.log" in text
    assert "0000100: other pictures stand in for damaged ones (2 of 9)\n    log: logs/mux_tape/T01.log" in text
    assert "2 scenes could not be processed as asked" in text
    assert "1 job done with less memory than they should have" in text


def test_retries_are_counted_and_do_not_count_as_failures():
    job("enhance_scene/T01/0000050", ToolKilled("killed"), ToolKilled("killed"))
    facts = run_summary.facts("run")
    assert (facts.tried_again, facts.attempts_lost, facts.failed) == (1, 2, ())
    assert told() == "1 job tried again, then done."


def test_a_stopped_run_says_what_stopped_it_and_what_to_do_first_of_all():
    error = ConfigError("a wrong setting", remedy="correct it")
    job("cut_scene/T01/0000000", error)
    attempt_store.not_started("run", attempt_store.before("run", Path("logs/cut_scene/T01/0000050.log")))
    abort.request_abort("run", abort.AbortReason(f"ConfigError: {error}", "logs/cut_scene/T01/0000000.attempt1.log"))
    abort.request_abort("run", abort.AbortReason("a later one", ""))
    blocks = list(run_summary.told(run_summary.facts("run", ["logs/cut_scene/T01/0000050.log"])))
    assert blocks[0][0] == logging.ERROR
    assert "ConfigError: a wrong setting\n  what to do: correct it" in blocks[0][1]
    assert "1 job failed" in blocks[1][1]
    assert blocks[2][1] == "1 job not started."
