"""GPU made of main memory, as strict as an Arc A770: no double precision, no sparse tensors, nothing of 4 GiB.

Its tensors are wrappers around tensors of the CPU, and torch sees them on a device of their own: an operation that is
not all on the GPU is refused as a real GPU does, and memory is counted and runs out with torch's own error.

The device cannot be called "xpu:0". A build of torch without Intel's backend has no device guard for it, which torch
takes in C++ before anything written in Python is asked: indexing any tensor ends in "PyTorch is not linked with support
for xpu devices". So it is torch's spare device (PrivateUse1), for which torch lets a guard be written in Python, and
Tapemill is told that name for Intel's GPUs. This cannot be taken back: use a process of its own (`apart`).
"""

from __future__ import annotations

import multiprocessing
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from tapemill.devices import device

NAME = "arc"
GIB = 1 << 30
LARGEST_BYTES = 4 * GIB
ACROSS = {"_to_copy", "copy_", "index", "index_put_", "index_put"}
"""What may have tensors of both sides; of indices only the indices."""


class Refused(RuntimeError):
    """Operation that this GPU cannot do."""


class Driver(_DummyBackendModule):
    """The module of torch for the GPU, with the functions of torch.xpu."""

    def __init__(self, total_bytes: int = 16 * GIB, half: bool = False) -> None:
        self.total_bytes, self.half = total_bytes, half
        self.taken_by_others = 0
        self.share = 1.0
        self.used = self.peak = 0
        self.storages: dict[int, int] = {}

    def get_device_properties(self) -> SimpleNamespace:
        """Properties by the names of torch.xpu."""
        return SimpleNamespace(total_memory=self.total_bytes, has_fp16=self.half, has_fp64=False)

    def is_bf16_supported(self, including_emulation: bool = True) -> bool:
        """Only by emulation."""
        return including_emulation

    def mem_get_info(self) -> tuple[int, int]:
        """Free and total bytes."""
        return self.total_bytes - self.taken_by_others - self.used, self.total_bytes

    def memory_allocated(self) -> int:
        """Bytes of all tensors."""
        return self.used

    memory_reserved = memory_allocated

    def max_memory_allocated(self) -> int:
        """Peak of `memory_allocated`."""
        return self.peak

    def reset_peak_memory_stats(self) -> None:
        """Restart the peak."""
        self.peak = self.used

    def set_per_process_memory_fraction(self, share: float) -> None:
        """Limit this process to a share of the memory."""
        self.share = share

    def empty_cache(self) -> None:
        """There is no cache."""
        pass

    synchronize = empty_cache

    def get_rng_state(self) -> torch.Tensor:
        """State of the CPU."""
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor) -> None:
        """Ignored."""
        pass

    def keep(self, tensor: GpuTensor) -> None:
        """Count the storage of a GPU's tensor until the last that shares it is gone."""
        storage = tensor.on_cpu.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if size >= LARGEST_BYTES:
            raise torch.OutOfMemoryError(f"XPU out of memory. Tried to allocate {size / GIB:.2f} GiB.")
        if key not in self.storages:
            if self.used + size > self.total_bytes * self.share - self.taken_by_others:
                raise torch.OutOfMemoryError(f"XPU out of memory. Tried to allocate {size / GIB:.2f} GiB.")
            self.used += size
            self.peak = max(self.peak, self.used)
        self.storages[key] = self.storages.get(key, 0) + 1
        # The storage stays alive with the finaliser, so that its address is nobody else's until then.
        weakref.finalize(tensor, self.let_go, key, storage)

    def let_go(self, key: int, storage: torch.UntypedStorage) -> None:
        """Uncount a storage."""
        self.storages[key] -= 1
        if not self.storages[key]:
            del self.storages[key]
            self.used -= storage.nbytes()


class GpuTensor(torch.Tensor):
    """Tensor on the GPU, around a tensor of the CPU."""

    @staticmethod
    def __new__(cls: type[GpuTensor], inner: torch.Tensor) -> GpuTensor:
        """Make a tensor without memory, of the form of `inner`."""
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.on_cpu = inner
        getattr(torch, NAME).keep(self)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return compute(function, args, kwargs or {})

    # torch refuses these two for every subclass. Of a tensor on a GPU it copies the first, and refuses the second.
    def tolist(self) -> Any:
        """Values, copied from the GPU."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Values, copied from the GPU only with `force`."""
        if force:
            return self.cpu().numpy()
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first")


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatcher of operations that make a new tensor on the GPU."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


def compute(function: Any, args: Any, kwargs: Any) -> Any:
    """Do on the CPU what was asked of the GPU, if a GPU could do it."""
    given: dict[int, torch.Tensor] = {}
    on_gpu: list[GpuTensor] = []
    elsewhere: list[torch.Tensor] = []

    def inner(value: Any) -> Any:
        if isinstance(value, GpuTensor):
            on_gpu.append(value)
            given[id(value.on_cpu)] = value
            return value.on_cpu
        if isinstance(value, torch.Tensor):
            given[id(value)] = value
            # Single numbers are passed along with any operation.
            elsewhere.extend([value] if value.dim() else [])
        return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value

    target = kwargs.get("device")
    args, kwargs = tree_map(inner, args), tree_map(inner, kwargs)
    name = function.overloadpacket.__name__
    if on_gpu and elsewhere and name not in ACROSS:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices ({name})")
    result = function(*args, **kwargs)
    to_gpu = bool(on_gpu) if target is None else torch.device(target).type == NAME

    def outer(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in given:
            return given[id(value)]
        if not to_gpu:
            return value
        if value.layout != torch.strided:
            raise Refused(f"sparse tensors: {name}")
        if value.dtype in {torch.float64, torch.complex128}:
            raise Refused(f"double precision: {name}")
        return GpuTensor(value)

    return tree_map(outer, result)


@contextmanager
def inserted(**properties: Any) -> Iterator[Driver]:
    """A GPU in this process, for Tapemill one of Intel's. Yields its driver."""
    driver = Driver(**properties)
    _setup_privateuseone_for_python_backend(NAME, backend_module=driver)
    device.TORCH_NAMES["xpu"] = f"{NAME}:0"
    torch.version.xpu = "a GPU made of main memory"
    # Else torch.tensor(…, device=…) fills memory of the GPU in C++.
    torch._C._set_only_lift_cpu_tensors(True)
    with Dispatch():  # type: ignore[no-untyped-call]
        yield driver


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """Return the result of a function of a module in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()
