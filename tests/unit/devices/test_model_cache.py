import weakref

import pytest

from tapemill.devices import model_cache
from tapemill.devices.device import CPU, Device
from tapemill.devices.memory import MemoryInfo

GPU = Device("cuda")


class Model:
    """Something that is seen to go."""

    alive = 0

    def __init__(self, size=0):
        self.size = size
        # A cycle, as models have: only the garbage collector lets it go.
        self.itself = self
        Model.alive += 1
        weakref.finalize(self, Model.gone)

    @classmethod
    def gone(cls):
        cls.alive -= 1


@pytest.fixture(autouse=True)
def room(monkeypatch):
    """A computer of 100 bytes, of which the models take what they say."""
    Model.alive = 0
    monkeypatch.setattr(
        "tapemill.devices.memory.memory_info", lambda device: MemoryInfo(100, 100 - model_cache.held_bytes(device))
    )
    yield
    model_cache.clear()


def get(key, size, device=CPU, **changes):
    loaded = []

    def load():
        loaded.append(key)
        return Model(size)

    model = model_cache.get_or_load(key, size, device, load, **changes)
    assert model.size == size
    return bool(loaded)


def test_a_model_is_loaded_once_and_stays():
    assert get("a", 40)
    assert not get("a", 40)
    assert model_cache.held_bytes(CPU) == 40


def test_the_least_recently_used_leaves_first_and_no_more_than_needed():
    for key in ("a", "b", "c"):
        get(key, 30)
    get("a", 30)
    assert get("d", 30)
    assert Model.alive == 3
    assert not get("a", 30)
    assert not get("c", 30)
    assert get("b", 30)


def test_room_is_made_before_loading():
    get("a", 60)
    seen = []
    model_cache.get_or_load("b", 60, CPU, lambda: seen.append(Model.alive))
    assert seen == [0]


def test_room_to_work_in_counts_also_for_a_model_that_is_here():
    get("a", 40)
    get("b", 40)
    assert not get("b", 40, headroom_bytes=20)
    assert Model.alive == 2
    assert not get("b", 40, headroom_bytes=30)
    assert Model.alive == 1
    assert get("a", 40)


def test_what_is_too_large_is_loaded_all_the_same():
    get("a", 60)
    assert get("b", 150)
    assert Model.alive == 1


def test_a_model_that_cannot_be_loaded_leaves_nothing():
    def broken():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        model_cache.get_or_load("a", 10, CPU, broken)
    assert model_cache.held_bytes(CPU) == 0
    assert get("a", 10)


def test_drop_all_lets_every_model_go():
    get("a", 10)
    get("b", 20)
    model_cache.clear()
    assert Model.alive == 0
    assert model_cache.held_bytes(CPU) == 0


def test_a_model_that_is_replaced_while_free_memory_shrinks(monkeypatch):
    """Others take memory between two jobs: what is here leaves for what is asked."""
    get("a", 30)
    monkeypatch.setattr("tapemill.devices.memory.memory_info", lambda device: MemoryInfo(100, 10))
    assert get("b", 30)
    assert Model.alive == 1
