"""Determinism of torch: thread count, random seeds, deterministic algorithms."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from .device import Device, backend


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch to `count` threads in the block. The number affects the result: sums depend on their order.

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
    """Seed all random numbers (Python's, numpy's, torch's, the GPU's) with `number` in the block.

    Their states are restored afterwards, so that no job of a worker affects the next. With `deterministic` torch also
    uses bitwise deterministic algorithms, where it has them.
    """
    import numpy as np
    import torch

    before = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())
    gpu = None if device.kind == "cpu" else backend(device)
    gpu_before = None if gpu is None else gpu.get_rng_state()
    flags = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )
    random.seed(number)
    np.random.seed(number)
    # Seeds the GPUs as well.
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
        if gpu is not None:
            gpu.set_rng_state(gpu_before)
        torch.use_deterministic_algorithms(flags[0], warn_only=flags[1])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = flags[2:]
