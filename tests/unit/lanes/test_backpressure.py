from tapemill.lanes.backpressure import Backlog


def test_what_waits_and_what_is_made_counts_up_to_the_limit():
    waiting = Backlog()
    assert waiting.free_slots([], running=0, limit=3) == 3
    assert waiting.free_slots(["a"], running=1, limit=3) == 1
    assert waiting.free_slots(["a", "b"], running=2, limit=3) == 0
    assert waiting.free_slots([], running=1, limit=3) == 2


def test_files_whose_jobs_can_never_run_hold_nobody_back_for_good():
    waiting = Backlog()
    assert waiting.free_slots(["a", "b"], running=0, limit=2) == 0
    waiting.abandon_waiting()
    assert waiting.free_slots(["a", "b"], running=0, limit=2) == 2
    assert waiting.free_slots(["a", "b", "c"], running=1, limit=2) == 0
