"""Which job goes to which lane. Times of the ledger are given, none is measured."""

from dataclasses import replace

from tapemill.lanes.assignment import SHORT_S, JobRequest, LaneState, assign
from tapemill.lanes.ledger import Ledger

PLENTY = {"_cores": 100}


def wish(key, expected_s=10.0, **fields):
    defaults = {"rule": "speak", "priority": 0, "needs": {"_cores": 1}}
    return JobRequest(key=key, expected_s=expected_s, **(defaults | fields))


def holding(name, *jobs, free=0):
    return LaneState(name, free, jobs, sum(job.expected_s for job in jobs))


def placed(wishes, lanes, free=PLENTY, total=PLENTY, **more):
    return {job.key: lane for job, lane in assign(wishes, lanes, free=free, total=total, **more).placed}


def left(wishes, lanes, free, total, **more):
    return assign(wishes, lanes, free=free, total=total, **more).left


def test_the_longest_goes_first_and_priority_goes_before():
    wishes = [wish("a", 5), wish("b", 50), wish("c", 20), wish("d", 1, priority=1)]
    assert placed(wishes, [LaneState("gpu0", 1)]) == {"d": "gpu0"}
    assert placed(wishes[:3], [LaneState("gpu0", 1), LaneState("gpu1", 1)]) == {"b": "gpu0", "c": "gpu1"}


def test_of_jobs_that_are_expected_to_take_the_same_the_one_with_more_to_read_goes_first():
    assert placed([wish("a", 1), wish("b", 1, input_bytes=9)], [LaneState("gpu0", 1)]) == {"b": "gpu0"}
    assert placed([wish("a", 2), wish("b", 1, input_bytes=9)], [LaneState("gpu0", 1)]) == {"a": "gpu0"}


def test_equals_go_by_name_whatever_order_they_come_in():
    wishes = [wish("c"), wish("a"), wish("b")]
    assert placed(wishes, [LaneState("gpu0", 1)]) == placed(wishes[::-1], [LaneState("gpu0", 1)]) == {"a": "gpu0"}


def test_lanes_are_in_order_of_numbers_not_letters():
    lanes = Ledger().lanes({"gpu10": 1, "gpu9": 1}, {}, 0)
    assert placed([wish("a")], lanes) == {"a": "gpu9"}


def test_every_lane_gets_one_job_before_any_gets_a_second_to_wait():
    wishes = [wish(key) for key in "abcde"]
    lanes = [LaneState("gpu0", 2), LaneState("gpu1", 2)]
    assert placed(wishes, lanes) == {"a": "gpu0", "b": "gpu1", "c": "gpu0", "d": "gpu1"}
    assert placed(wishes[:2], lanes) == {"a": "gpu0", "b": "gpu1"}
    assert placed(wishes, [LaneState("gpu0", 1), LaneState("gpu1", 1)]) == {"a": "gpu0", "b": "gpu1"}


def test_behind_a_long_job_none_waits():
    lanes = [holding("gpu0", wish("long", SHORT_S), free=1), holding("gpu1", wish("short", SHORT_S - 1), free=1)]
    assert placed([wish("a"), wish("b")], lanes) == {"a": "gpu1"}


def test_a_third_waits_only_if_both_before_it_are_short_together():
    lane = holding("gpu0", wish("a", SHORT_S / 2), wish("b", SHORT_S / 2), free=1)
    assert placed([wish("c")], [lane]) == {}
    assert placed([wish("c")], [holding("gpu0", wish("a", 1), wish("b", 1), free=1)]) == {"c": "gpu0"}


def test_who_waits_takes_the_lane_that_is_done_first():
    lanes = [replace(holding("gpu0", wish("x"), free=1), remaining_s=8), holding("gpu1", wish("y", 4), free=1)]
    assert placed([wish("a")], lanes) == {"a": "gpu1"}


def test_nothing_is_known_of_a_lane_that_somebody_else_holds():
    assert placed([wish("a")], [LaneState("gpu0", 1, strangers=1)]) == {}


def test_other_resources_are_respected():
    wishes = [wish("big", 9, needs={"_cores": 4, "mem_mb": 100}), wish("small", 1, needs={"_cores": 1, "gpu": 1})]
    lanes = [LaneState("gpu0", 1), LaneState("gpu1", 1)]
    total = {"_cores": 4, "gpu": 1, "mem_mb": 100}
    assert placed(wishes, lanes, {"_cores": 3, "gpu": 1, "mem_mb": 100}, total) == {"small": "gpu0"}
    assert placed(wishes, lanes, {"_cores": 4, "gpu": 1, "mem_mb": 99}, total) == {"small": "gpu0"}
    assert placed(wishes, lanes, {"_cores": 4, "gpu": 0, "mem_mb": 100}, total) == {"big": "gpu0"}
    assert placed(wishes, lanes, {"_cores": 5, "gpu": 1, "mem_mb": 100}, total) == {"big": "gpu0", "small": "gpu1"}


def test_one_gpu_at_a_time_if_gpu_itself_is_limited():
    wishes = [wish(key, needs={"_cores": 1, "gpu": 1}) for key in "ab"]
    assert placed(wishes, [LaneState("gpu0", 1), LaneState("gpu1", 1)], {"_cores": 9, "gpu": 1}, PLENTY) == {
        "a": "gpu0"
    }


def test_a_retry_takes_another_lane():
    retry = wish("r", 50, failed_at=frozenset({"gpu0"}))
    lanes = [LaneState("gpu0", 1), LaneState("gpu1", 1)]
    assert placed([retry], lanes) == {"r": "gpu1"}
    # The longer job leaves it the lane that it can take.
    assert placed([wish("z", 99), retry], lanes) == {"z": "gpu0", "r": "gpu1"}
    assert placed([wish("z", 99), replace(retry, failed_at=frozenset({"gpu1"}))], lanes) == {"z": "gpu1", "r": "gpu0"}


def test_a_retry_leaves_the_lane_to_others_and_takes_it_rather_than_nothing():
    retry = wish("r", 50, failed_at=frozenset({"gpu0"}))
    busy = holding("gpu1", wish("long", 99), free=1)
    assert placed([retry, wish("a", 1)], [LaneState("gpu0", 1), busy]) == {"a": "gpu0"}
    assert placed([retry], [LaneState("gpu0", 1), busy]) == {"r": "gpu0"}
    assert placed([retry], [LaneState("gpu0", 1), holding("gpu1", wish("short", 1), free=1)]) == {"r": "gpu1"}
    assert placed([retry], [LaneState("gpu0", 1)]) == {"r": "gpu0"}
    assert placed([replace(retry, failed_at=frozenset({"gpu0", "gpu1"}))], [LaneState("gpu1", 1)]) == {"r": "gpu1"}


def test_a_rule_keeps_to_its_number_of_lanes():
    wishes = [wish(key, 20, rule="enhance", max_lanes=1) for key in "abc"] + [wish("s", 1)]
    lanes = [LaneState("gpu0", 2), LaneState("gpu1", 2)]
    assert placed(wishes, lanes) == {"a": "gpu0", "s": "gpu1", "b": "gpu0"}
    running = holding("gpu1", wish("x", 5, rule="enhance"), free=1)
    assert placed(wishes[:1], [LaneState("gpu0", 2), running]) == {"a": "gpu1"}
    assert placed(wishes[:3], [LaneState(f"gpu{number}", 1) for number in range(3)]) == {"a": "gpu0"}
    two = [replace(job, max_lanes=2) for job in wishes[:3]]
    assert placed(two, [LaneState(f"gpu{number}", 1) for number in range(3)]) == {"a": "gpu0", "b": "gpu1"}


def test_a_job_that_is_bound_to_a_lane_gets_no_other():
    bound = wish("a", lane="gpu1")
    assert placed([bound], [LaneState("gpu0", 1), LaneState("gpu1", 1)]) == {"a": "gpu1"}
    assert placed([bound], [LaneState("gpu0", 1)]) == {}


def test_who_waits_leaves_a_core_to_jobs_without_gpu():
    running = holding("gpu0", wish("x"), free=1)
    cpu = [{"_cores": 1}, {"_cores": 3}]
    assert placed([wish("a")], [running], {"_cores": 1}, {"_cores": 2}, others=cpu) == {}
    assert placed([wish("a")], [running], {"_cores": 1}, {"_cores": 2}) == {"a": "gpu0"}
    assert placed([wish("a")], [running], {"_cores": 2}, {"_cores": 3}, others=cpu) == {"a": "gpu0"}
    # One of them runs already: then the GPU comes first.
    assert placed([wish("a")], [running], {"_cores": 1}, {"_cores": 3}, others=cpu) == {"a": "gpu0"}


def test_an_idle_gpu_comes_before_jobs_without_one():
    assert placed([wish("a")], [LaneState("gpu0", 1)], {"_cores": 1}, {"_cores": 1}, others=[{"_cores": 1}]) == {
        "a": "gpu0"
    }


def test_what_is_left_is_for_the_others():
    free = {"_cores": 5, "gpu0": 2, "mem_mb": 7}
    assert left([wish("a")], [LaneState("gpu0", 2)], free, free) == {"_cores": 4, "gpu0": 1, "mem_mb": 7}


def test_small_jobs_without_gpu_do_not_keep_a_big_one_from_its_gpu():
    big = wish("big", needs={"_cores": 4})
    # Three of four cores are held by jobs without GPU: what they give back is kept.
    assert left([big], [LaneState("gpu0", 1)], {"_cores": 1}, {"_cores": 4})["_cores"] == 0
    assert left([big], [LaneState("gpu0", 1)], {"_cores": 3}, {"_cores": 6})["_cores"] == 0
    # A job at another GPU holds them: to keep cores idle would not help.
    busy = holding("gpu1", wish("x", needs={"_cores": 3}))
    assert left([big], [LaneState("gpu0", 1), busy], {"_cores": 1}, {"_cores": 4})["_cores"] == 1
    # No lane is idle: nothing to keep them for.
    assert left([big], [busy], {"_cores": 1}, {"_cores": 8})["_cores"] == 1


class Clock:
    """A ledger of two lanes, and what Snakemake would tell of them."""

    def __init__(self):
        self.ledger = Ledger()
        self.capacity = {"gpu0": 2, "gpu1": 2}

    def settle(self, now_s, used, ready=(), finished=()):
        self.used = dict(zip(self.capacity, used, strict=True))
        self.ledger.remove_ended(used=self.used, ready=ready, finished=finished.__contains__, now_s=now_s)
        return self.ledger.lanes(self.capacity, self.used, now_s)


def test_the_ledger_knows_what_remains():
    clock = Clock()
    clock.ledger.assign(wish("a", 10), "gpu0", 100)
    clock.ledger.assign(wish("b", 4), "gpu0", 100)
    first, second = clock.settle(103, (2, 0))
    assert (first.remaining_s, first.free, [job.key for job in first.jobs]) == (11, 0, ["a", "b"])
    assert second.is_idle
    assert clock.settle(150, (2, 0))[0].remaining_s == 4
    # The second began when the first was seen to have ended.
    assert clock.settle(200, (1, 0), finished=["a"])[0].remaining_s == 4
    assert clock.settle(201, (1, 0), finished=["a"])[0].remaining_s == 3
    assert clock.settle(201, (0, 0), finished=["a", "b"])[0].is_idle


def test_a_job_that_is_ready_again_failed_where_it_was():
    clock = Clock()
    clock.ledger.assign(wish("a"), "gpu0", 0)
    assert clock.settle(1, (0, 0), ready=["a"])[0].is_idle
    clock.ledger.assign(wish("a"), "gpu1", 1)
    clock.settle(2, (0, 0), ready=["a"])
    assert clock.ledger.failed_at("a") == {"gpu0", "gpu1"}
    clock.ledger.assign(wish("a"), "gpu1", 2)
    clock.settle(3, (0, 0), finished=["a"])
    assert clock.ledger.failed_at("a") == frozenset()


def test_a_job_that_failed_for_good_leaves_its_lane():
    clock = Clock()
    for key in "ab":
        clock.ledger.assign(wish(key, 7), "gpu0", 0)
    clock.ledger.assign(wish("c", 7), "gpu1", 0)
    first, second = clock.settle(5, (1, 1))
    assert [job.key for job in first.jobs] == ["b"]
    assert first.remaining_s == 7
    assert (second.remaining_s, second.strangers) == (2, 0)


def test_a_lane_held_by_somebody_else_is_not_idle():
    lane, _ = Clock().settle(0, (1, 0))
    assert (lane.strangers, lane.is_idle, lane.accepts_queued) == (1, False, False)
