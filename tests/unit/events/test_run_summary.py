import logging
from dataclasses import replace

import pytest

from tapemill.core.errors import ConfigError
from tapemill.events import run_summary
from tapemill.events.run_outcome import LOST_REASON
from tapemill.events.run_state import RunState
from tapemill.process import abort
from tests.support.event_script import RUN, Script


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Script(tmp_path)
    script.begin({})
    return script


def outcome(*failed_logs):
    run = RunState(RUN)
    run.update()
    return run.outcome_at_end(failed_logs)


def summary(*failed_logs):
    return "\n".join(text for _, text in run_summary.format_summary(outcome(*failed_logs)))


def test_one_line_if_all_went_well(script):
    script.job(0, 1, "mux_tape")
    assert summary() == "Nothing failed, nothing was replaced."


def test_each_failed_job_is_named_with_its_first_line_and_the_log_that_says_why(script):
    reason, log = "GateError: the tape is", "logs/mux_tape/T01.attempt1.log"
    script.job(0, 1, "mux_tape", outcome="failed", kind="transient", reason=reason, kept_log=log)
    assert summary("logs/mux_tape/T01.log") == f"1 job failed:\n  mux_tape T01: {reason}\n    log: {log}"


def test_jobs_that_died_without_an_event_are_failed_only_if_snakemake_calls_them_so(script):
    script.job(0, None, "cut_scene", scene="0000000")
    script.job(0, None, "cut_scene", scene="0000050")
    text = summary("logs/cut_scene/T01/0000000.log", "logs/probe_capture/T02.log")
    assert "2 jobs failed" in text
    assert f"cut_scene T01 0000000: {LOST_REASON}" in text
    assert "probe_capture T02: see the message of Snakemake" in text
    assert "1 job interrupted" in text


def notice(kind, reason, scene=""):
    return {"kind": kind, "reason": reason, "scene": scene}


def test_a_replaced_scene_is_named_once_with_the_log_of_the_job_that_replaced_it(script):
    why = "SceneError: corrupt"
    own = [notice("kept", why), notice("lowered", "smaller tiles")]
    script.job(0, 1, "enhance_scene", scene="0000050", notices=own)
    found = [notice("kept", why, "0000050"), notice("stands_in", "2 of 9", "0000100")]
    script.job(0, 1, "mux_tape", notices=found)
    text = summary()
    assert text.count("0000050: its video is only deinterlaced (SceneError: corrupt)") == 1
    assert "log: logs/enhance_scene/T01/0000050.log" in text
    assert "0000100: damaged frames are replaced by others (2 of 9)\n    log: logs/mux_tape/T01.log" in text
    assert "2 scenes could not be processed as requested" in text
    assert "1 job downgraded for lack of memory" in text


def test_retries_are_counted_and_do_not_count_as_failures(script):
    for attempt, end in ((1, "failed"), (2, "failed"), (3, "done")):
        script.job(attempt, attempt + 1, "enhance_scene", scene="0000050", attempt=attempt, outcome=end)
    facts = outcome()
    assert (facts.tried_again, facts.attempts_lost, facts.failed) == (1, 2, ())
    assert summary() == "1 job tried again, then done."


def test_a_stopped_run_says_what_stopped_it_and_what_to_do_first_of_all(script):
    error = ConfigError("a wrong setting", remedy="correct it")
    script.job(
        0, 1, "cut_scene", scene="0000000", outcome="failed", is_final=True, reason="ConfigError: a wrong setting"
    )
    job = script.job(1, None, "cut_scene", scene="0000050")
    script.write(2, "job_not_started", **job)
    abort.request_abort("run", abort.AbortReason(f"ConfigError: {error}", "logs/cut_scene/T01/0000000.attempt1.log"))
    abort.request_abort("run", abort.AbortReason("a later one", ""))
    found = replace(outcome("logs/cut_scene/T01/0000050.log"), stopped=abort.abort_reason("run"))
    blocks = list(run_summary.format_summary(found))
    assert blocks[0][0] == logging.ERROR
    assert "ConfigError: a wrong setting\n  what to do: correct it" in blocks[0][1]
    assert "1 job failed" in blocks[1][1]
    assert blocks[2][1] == "1 job not started."
