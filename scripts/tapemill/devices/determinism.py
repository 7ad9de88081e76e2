"""Split of tapemill.device."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
from .device import Device, backend


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads in the block. The number is part of the result: sums depend on their order.

    Some packages (silero-vad) set it for the whole process when they are imported: import those inside the block.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(device: Device, number: int, *, deterministic: bool = False) -> Iterator[None]:
    """Start all random numbers (Python's, numpy's, torch's, the card's) from `number` in the block.

    Afterwards they go on as if the block had not been, so that no job of a worker leaves a trace in the next. With
    `deterministic` torch also takes the algorithms that always give the same bits, where it has such.
    """
    import numpy as np
    import torch

    before = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())
    card = None if device.kind == "cpu" else backend(device)
    card_before = None if card is None else card.get_rng_state()
    flags = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )
    random.seed(number)
    np.random.seed(number)
    # Seeds the cards as well.
    torch.manual_seed(number)
    if deterministic:
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])
        if card is not None:
            card.set_rng_state(card_before)
        torch.use_deterministic_algorithms(flags[0], warn_only=flags[1])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = flags[2:]
