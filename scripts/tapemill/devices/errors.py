"""Translation of errors of torch, its drivers and libraries: out of memory, or a failed GPU.

Only some have a class; most are RuntimeErrors that are recognised by their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tapemill.core.errors import DeviceError, OutOfMemory, TapemillError

from .device import VENDORS, Device

# torch.OutOfMemoryError is recognised by its class. Beside it:
OUT_OF_MEMORY: Final = re.compile(
    "|".join(
        (
            # The host: torch's c10/core/impl/alloc_cpu.cpp.
            r"DefaultCPUAllocator: (can't allocate|not enough) memory",
            # Older builds raise it without the class: "CUDA out of memory. Tried to allocate …", HIP and XPU alike.
            r"(CUDA|HIP|XPU) out of memory",
            r"(CUDA|HIP) error: out of memory",
            r"CU(BLAS|DNN|SOLVER|SPARSE)_STATUS_ALLOC_FAILED",
            r"(HIP|ROC)BLAS_STATUS_(ALLOC_FAILED|MEMORY_ERROR)|miopenStatusAllocFailed",
            # Intel, "level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)" and before torch
            # 2.8 "Native API failed. Native API returns: 39 (…)": github.com/intel/torch-xpu-ops/issues/1598 and, for
            # OUT_OF_RESOURCES, github.com/pytorch/pytorch/issues/190972. PI_ and ZE_ are the layers above and below.
            r"(UR|PI|ZE)(_RESULT)?_ERROR_OUT_OF_(DEVICE_MEMORY|HOST_MEMORY|RESOURCES)",
            # An Alchemist GPU and more than 4 GiB at once, in Intel's extension
            # (github.com/intel/ipex-llm/issues/11248); torch itself says it is out of memory.
            r"can NOT allocate memory block with size larger than 4GB",
        )
    )
)
DEVICE_FAILED: Final = re.compile(
    "|".join(
        (
            # github.com/pytorch/pytorch/issues/190972, github.com/intel/torch-xpu-ops/issues/2757: all that follows in
            # the process fails as well.
            r"(UR|PI|ZE)(_RESULT)?_ERROR_(DEVICE_LOST|UNKNOWN|UNINITIALIZED|DEVICE_REQUIRES_RESET)",
            r"level_zero backend failed with error|Native API failed\. Native API returns",
            r"(CUDA|HIP) (driver )?error: |cu(BLAS|DNN) error: |miopenStatus|MIOpen Error|Unable to find an engine",
            r"CU(BLAS|DNN|SOLVER|SPARSE)_STATUS_|(HIP|ROC)BLAS_STATUS_",
        )
    )
)


@contextmanager
def translate_device_errors(device: Device) -> Iterator[None]:
    """Translate errors of torch and its drivers in the block to OutOfMemory or DeviceError, chained to the originals.

    Everything else is raised unchanged: a bug of ours is no failure of the GPU.
    """
    try:
        yield
    except TapemillError:
        raise
    except MemoryError as error:
        raise _out_of_memory(str(error) or "no memory left", "this computer") from error
    except RuntimeError as error:
        text = str(error)
        if _is_torch_oom(error) or OUT_OF_MEMORY.search(text):
            on_host = device.kind == "cpu" or "DefaultCPUAllocator" in text or "OUT_OF_HOST_MEMORY" in text
            owner = "this computer" if on_host else f"the {VENDORS[device.kind]} GPU"
            raise _out_of_memory(_first_line(text), owner) from error
        if DEVICE_FAILED.search(text):
            raise DeviceError(
                f"the {VENDORS[device.kind]} GPU or its driver failed: {_first_line(text)}",
                tool="torch",
                remedy="the next attempt starts in a new process; if the GPU keeps failing, see the kernel's "
                "log (`dmesg`) and restart the computer",
            ) from error
        raise


def _is_torch_oom(error: BaseException) -> bool:
    """Whether an error is torch.OutOfMemoryError, without importing torch."""
    return any(kind.__name__ == "OutOfMemoryError" and kind.__module__ == "torch" for kind in type(error).__mro__)


def _out_of_memory(what: str, owner: str) -> OutOfMemory:
    return OutOfMemory(
        f"the memory of {owner} is full: {_first_line(what)}",
        tool="torch",
        remedy="the next attempt starts one step lower; close other programs that use this memory, let fewer jobs run "
        "at a time, or choose a smaller model in the config",
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
