from tapemill.lanes.backpressure import Backlog


def test_what_waits_and_what_is_made_counts_up_to_the_limit():
    waiting = Backlog()
    assert waiting.room([], running=0, at_most=3) == 3
    assert waiting.room(["a"], running=1, at_most=3) == 1
    assert waiting.room(["a", "b"], running=2, at_most=3) == 0
    assert waiting.room([], running=1, at_most=3) == 2


def test_files_whose_jobs_can_never_run_hold_nobody_back_for_good():
    waiting = Backlog()
    assert waiting.room(["a", "b"], running=0, at_most=2) == 0
    waiting.give_up()
    assert waiting.room(["a", "b"], running=0, at_most=2) == 2
    assert waiting.room(["a", "b", "c"], running=1, at_most=2) == 0
