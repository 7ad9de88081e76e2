import json
import logging
import subprocess
import sys

import pytest

from tapemill.core.errors import OutOfMemory
from tapemill.devices import memory_planner
from tapemill.devices.device import CPU, Device
from tapemill.devices.memory import MemoryInfo
from tapemill.devices.memory_planner import ActivationCache, Candidate, first_that_fits

GIB = 1 << 30
LADDER = [
    Candidate("large tiles", 512, 8 * GIB),
    Candidate("small tiles", 256, 4 * GIB),
    Candidate("tiny tiles", 128, 2 * GIB),
]


@pytest.fixture(autouse=True)
def total(monkeypatch):
    """A computer of 16 GiB."""
    monkeypatch.setattr("tapemill.devices.memory.memory_info", lambda device: MemoryInfo(16 * GIB, 10 * GIB))


@pytest.mark.parametrize(
    ("budget", "value", "passed"),
    [(8 * GIB, 512, 0), (8 * GIB - 1, 256, 1), (2 * GIB, 128, 2)],
)
def test_the_first_step_that_fits_is_taken(budget, value, passed):
    choice = first_that_fits(LADDER, CPU, budget)
    assert choice.candidate.value == value
    assert [decision.step for decision in choice.rejections] == [step.name for step in LADDER[:passed]]


def test_by_default_what_the_device_has_left_counts():
    assert first_that_fits([Candidate("a", 1, 11 * GIB), Candidate("b", 2, 10 * GIB)], CPU).candidate.value == 2
    assert (
        first_that_fits(
            [Candidate("a", 1, 5 * GIB), Candidate("b", 2, 4 * GIB)], Device("cpu", memory_share=0.25)
        ).candidate.value
        == 2
    )


@pytest.mark.parametrize(("down", "value"), [(0, 512), (1, 256), (2, 128), (7, 128)])
def test_attempts_after_one_that_ran_out_begin_lower_and_end_with_the_last_step(down, value):
    choice = first_that_fits(LADDER, Device("cpu", degrade_level=down), 16 * GIB)
    assert choice.candidate.value == value
    assert all("earlier attempt" in decision.reason for decision in choice.rejections)


def test_each_decision_is_logged_with_need_room_and_replacement(caplog):
    with caplog.at_level(logging.INFO):
        choice = first_that_fits(LADDER, CPU, 3 * GIB)
    assert [record.getMessage() for record in caplog.records] == [
        "not large tiles: it needs 8192 MiB, there are 3072 MiB: too little memory",
        "not small tiles: it needs 4096 MiB, there are 3072 MiB: too little memory",
        "taking tiny tiles: it needs 2048 MiB of 3072 MiB",
    ]
    assert choice.rejections[0].to_plain() == {
        "step": "large tiles",
        "need_bytes": 8 * GIB,
        "budget_bytes": 3 * GIB,
        "reason": "too little memory",
    }


def test_the_last_step_is_tried_when_others_hold_the_memory_only_now(caplog):
    choice = first_that_fits(LADDER, CPU, GIB)
    assert choice.candidate.value == 128
    assert len(choice.rejections) == 2
    assert "tried all the same" in caplog.text


def test_what_can_never_fit_is_refused_with_figures():
    with pytest.raises(OutOfMemory, match=r"tiny tiles needs 2048 MiB, the device gives 1638 MiB") as caught:
        first_that_fits(LADDER, Device("cpu", memory_share=0.1), 16 * GIB // 10)
    assert "memory_share" in caught.value.remedy


def test_an_intel_gpu_holds_no_tensor_of_4_gib():
    ladder = [Candidate("whole frame", 1, 6 * GIB, 4 * GIB), Candidate("halves", 2, 6 * GIB, 4 * GIB - 1)]
    assert first_that_fits(ladder, Device("xpu"), 16 * GIB).candidate.value == 2
    assert first_that_fits(ladder, Device("cuda"), 16 * GIB).candidate.value == 1
    with pytest.raises(OutOfMemory, match="4096 MiB in one"):
        first_that_fits(ladder[:1], Device("xpu"), 16 * GIB)


def test_measurements_are_kept_with_a_margin_by_model_device_and_format(tmp_path):
    measured = ActivationCache(tmp_path / "new" / "activations.json")
    key = ActivationCache.key("ab12", Device("xpu"), "float16", "beam 5")
    assert measured.bytes_of(key) is None
    measured.add(key, 1000)
    assert measured.bytes_of(key) == 1150
    assert measured.bytes_of(ActivationCache.key("ab12", CPU, "float16", "beam 5")) is None
    # A scene that took less, or hardly more, says nothing new.
    written = measured.file.stat().st_mtime_ns
    measured.add(key, 400)
    measured.add(key, 1010)
    assert measured.file.stat().st_mtime_ns == written
    measured.add(key, 2000)
    assert measured.bytes_of(key) == 2300


@pytest.mark.parametrize("damage", ["", "{half", "[1]", '{"other": "text", "key": -5}', '{"key": true}'])
def test_a_damaged_store_is_as_good_as_none(tmp_path, damage):
    file = tmp_path / "activations.json"
    file.write_text(damage)
    assert ActivationCache(file).bytes_of("key") is None
    ActivationCache(file).add("key", 7)
    assert json.loads(file.read_text())["key"] == 7


def test_a_store_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO):
        ActivationCache(tmp_path / "file" / "activations.json").add("key", 7)
    assert "not written down" in caplog.text


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\nfrom tapemill.devices.memory_planner import ActivationCache\n"
        "for number in range(25): ActivationCache(Path(sys.argv[1])).add(f'{sys.argv[2]} {number}', 1 + number)"
    )
    file = tmp_path / "activations.json"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(file), name, *sys.path]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(json.loads(file.read_text())) == 75


def test_the_store_is_in_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ActivationCache().file == tmp_path / "tapemill" / "activations.json"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert memory_planner.state_folder() == tmp_path / "home" / ".local" / "state" / "tapemill"
