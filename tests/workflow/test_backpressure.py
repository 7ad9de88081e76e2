"""Cutting does not run ahead of enhancement: real Snakemake, jobs that sleep."""

import pytest

from tests.workflow.test_scheduler import names, rule, run, workflow

CUT = """
rule cut:
    output: temp('cut-{{i}}')
    resources: backlog=1, backlog_limit={at_most}
    params: sleep_s=0.05
    script: 'stand_in.py'
"""


def enhance(count, **slots):
    return rule("enhance", count, **{"input": "'cut-{i}'", "priority": 1, "params": "sleep_s=0.4"} | slots)


def most_cuts(events):
    """The most cuts that were made, or being made, and whose enhancement had not ended."""
    done = [event.stop for event in events if event.rule == "enhance"]
    starts = [event.start for event in events if event.rule == "cut"]
    return max(sum(other <= start for other in starts) - sum(stop <= start for stop in done) for start in starts)


def test_no_more_cuts_wait_than_allowed(tmp_path):
    source = workflow(CUT.format(at_most=3), enhance(14), targets=names("enhance", 14))
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "gpu1=1", cores=6)
    assert len(events) == 28
    assert most_cuts(events) <= 3 + 2
    assert {event.lane for event in events if event.rule == "enhance"} == {"gpu0", "gpu1"}


@pytest.mark.long
def test_without_a_limit_cutting_does_run_ahead(tmp_path):
    """What the test above would see otherwise."""
    source = workflow(CUT.format(at_most=0), enhance(14), targets=names("enhance", 14))
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "gpu1=1", cores=6)
    assert most_cuts(events) > 5


@pytest.mark.long
def test_without_lanes_the_limit_holds_too_even_if_enhancement_takes_all_cores(tmp_path):
    """A core that falls free is not enough for the next enhancement, and would be given to one cut after another."""
    source = workflow(CUT.format(at_most=2), enhance(6, gpu=False, threads=3), targets=names("enhance", 6))
    events, _ = run(tmp_path, source, cores=3)
    assert len(events) == 12
    assert most_cuts(events) <= 2 + 1


@pytest.mark.long
def test_cuts_that_an_earlier_run_left_count(tmp_path):
    source = workflow(CUT.format(at_most=3), enhance(8), targets=names("enhance", 8))
    for name in names("cut", 3):
        (tmp_path / name).touch()
    # As in the profiles: the script is newer than these files.
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "--rerun-triggers", "mtime", cores=4)
    assert len([event for event in events if event.rule == "cut"]) == 5
    ends = [event.stop for event in events if event.rule == "enhance"]
    for place, start in enumerate(sorted(event.start for event in events if event.rule == "cut"), 1):
        assert 3 + place - sum(stop <= start for stop in ends) <= 3 + 1


@pytest.mark.long
def test_failed_enhancements_do_not_hold_up_the_others(tmp_path):
    broken = enhance(8, params="sleep_s=0.1, fails=lambda wildcards: 9 * int(wildcards.i in '012')")
    source = workflow(CUT.format(at_most=2), broken, targets=names("enhance", 8))
    events, _ = run(tmp_path, source, "--resources", "gpu0=1", "--keep-going", exit_code=1, cores=3)
    assert all((tmp_path / name).exists() for name in names("enhance", 8)[3:])
    assert len([event for event in events if event.rule == "cut"]) == 8


@pytest.mark.parametrize("lanes", [pytest.param(("--resources", "gpu0=1"), marks=pytest.mark.long), ()])
def test_enhancements_that_can_never_run_do_not_hold_up_the_others(tmp_path, lanes):
    """Their encoder cannot be chosen; no job tells the scheduler so."""
    choose = "rule choose:\n    output: 'encoder'\n    params: fails=9\n    script: 'stand_in.py'\n"
    source = workflow(
        CUT.format(at_most=2),
        choose,
        enhance(12, input="lambda wildcards: ['cut-' + wildcards.i] + ['encoder'] * (int(wildcards.i) < 9)"),
        targets=names("enhance", 12),
    )
    events, _ = run(tmp_path, source, *lanes, "--keep-going", exit_code=1, cores=3)
    assert all((tmp_path / name).exists() for name in names("enhance", 12)[9:])
    assert len([event for event in events if event.rule == "enhance"]) == 3
