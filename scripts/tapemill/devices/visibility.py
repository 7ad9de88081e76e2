"""Visibility masks: environment variables that leave a process one GPU. They work only before torch is imported.

A lane's number is the index in PCI order among the GPUs that the driver shows to an unmasked process. Masks use the
same number: one integer per GPU, never tiles of it such as 0.1.

A mask set by others (Slurm, the user) is a limit: it is narrowed, never widened. The meaning of its numbers differs.
Slurm numbers the GPUs of a job from 0 if it confines devices with cgroups (`ConstrainDevices`), and by their device
files if not (`common_use_local_device_index` in Slurm's gres_common.c). Confined, an unmasked process sees only the
job's GPUs, which the driver numbers from 0 as well; not confined, it sees all of them. So in both cases the numbers are
indices into the unmasked list, and nothing needs to be translated.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import LaneError

from .device import Kind
from .torch_build import torch_build

if TYPE_CHECKING:
    from .enumerate import Gpu

DOCTOR = "`python -m tapemill doctor` lists the GPUs"
# Their drivers read the masks on import or soon after, in any case before another could be set.
GPU_LIBRARIES = ("torch", "intel_extension_for_pytorch", "dpctl", "cupy")
# Values of Slurm for a job without a GPU, and of CUDA for the end of the list.
NO_GPU = frozenset({"", "-1", "NoDevFiles"})


@dataclass(frozen=True)
class VisibilityVariables:
    """Environment variables that mask one kind of GPU."""

    variable: str
    ordering: Mapping[str, str]
    """Variables that make the driver number in PCI order."""
    others: tuple[str, ...] = ()
    """Other variables that name GPUs; `variable` takes precedence."""
    before: str | None = None
    """A variable that is applied first: `variable` then counts the GPUs that are left."""
    selectors: tuple[str, ...] = ()
    """Variables with another syntax that can hide a GPU, only named in messages."""

    @property
    def naming(self) -> tuple[str, ...]:
        """Variables that name GPUs, in order of precedence."""
        return (*([] if self.before is None else [self.before]), self.variable, *self.others)

    @property
    def hiding(self) -> tuple[str, ...]:
        """All variables that can hide a GPU."""
        return (*self.naming, *self.selectors)


VISIBILITY: Mapping[Kind, VisibilityVariables] = MappingProxyType(
    {
        "xpu": VisibilityVariables(
            "ZE_AFFINITY_MASK", {"ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1"}, selectors=("ONEAPI_DEVICE_SELECTOR",)
        ),
        "cuda": VisibilityVariables("CUDA_VISIBLE_DEVICES", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        # HIP reads NVIDIA's variable if its own is not set, and ROCr below it has one too (ROCm, "GPU isolation").
        "hip": VisibilityVariables(
            "HIP_VISIBLE_DEVICES",
            {},
            others=("CUDA_VISIBLE_DEVICES",),
            before="ROCR_VISIBLE_DEVICES",
            selectors=("GPU_DEVICE_ORDINAL",),
        ),
    }
)


def mask_for(
    kind: Kind, number: int | None, environ: Mapping[str, str], gpus: Sequence[Gpu] | None = None
) -> dict[str, str]:
    """Return changes to `environ` that leave a process GPU `number`, or with None the one GPU an existing mask leaves.

    With None and no mask, nothing is hidden. `gpus` resolve a mask of UUIDs; they are looked up if not given. Raises
    LaneError for a mask that hides every GPU, that is invalid, that leaves another GPU than the lane's, or several
    without a lane.
    """
    variables = VISIBILITY.get(kind)
    if variables is None:
        return {}
    found = _active_mask(kind, environ)
    ordering = dict(variables.ordering)
    if number is None:
        if found is not None and len(found.distinct()) != 1:
            raise LaneError(
                f"{found} leaves {len(found.distinct())} {kind} GPUs, and the job was given no lane",
                remedy=f"set {found.variable} to one GPU, or assign lanes with `--scheduler lanes`",
            )
        if found is not None and found.variable == variables.before:
            ordering[variables.variable] = "0"
        # The numbers of the mask may follow another order, set by whoever set the mask.
        return {name: value for name, value in ordering.items() if name not in environ}
    if found is None:
        return {variables.variable: str(number), **ordering}
    if number not in found.numbers(gpus):
        raise LaneError(
            f"lane gpu{number} is {kind} GPU {number}, but {found} hides this GPU",
            remedy=f"start the run without {found.variable} or with GPU {number} in it, or remove the lane with "
            f"`--resources gpu{number}=0`",
        )
    if found.variable == variables.before:
        return {found.variable: str(number), variables.variable: "0", **ordering}
    return {variables.variable: str(number), **ordering}


def bind_process(
    kind: Kind,
    number: int | None,
    environ: MutableMapping[str, str] = os.environ,
    modules: Mapping[str, Any] = sys.modules,
    gpus: Sequence[Gpu] | None = None,
) -> None:
    """Mask all GPUs but the lane's for this process.

    Raises LaneError like `mask_for`, and if a GPU library was imported before: it may have chosen a GPU already.
    """
    early = [name for name in GPU_LIBRARIES if name in modules]
    if early:
        raise LaneError(
            f"{' and '.join(early)} was imported before the job was bound to its GPU",
            remedy="import it inside the function that needs it; if you changed no code, report this as a fault",
        )
    environ.update(mask_for(kind, number, environ, gpus))


def visible_numbers(kind: Kind, environ: Mapping[str, str], gpus: Sequence[Gpu] | None = None) -> list[int] | None:
    """Return the numbers of the GPUs that a mask leaves; None without a mask. Raises LaneError like `mask_for`."""
    found = _active_mask(kind, environ) if kind in VISIBILITY else None
    return None if found is None else found.numbers(gpus)


def numbers_from_cluster(kind: Kind, environ: Mapping[str, str]) -> int | None:
    """Return the one GPU that Slurm allocated to a job; None if none, or several. Raises LaneError like `mask_for`.

    For work on the CPU, which masks do not affect, the number distinguishes the job's slot from others.
    """
    if kind in VISIBILITY:
        left = visible_numbers(kind, environ) or []
    else:
        names = environ.get("SLURM_STEP_GPUS") or environ.get("SLURM_JOB_GPUS") or ""
        left = [int(name) for name in names.split(",") if name.isdecimal()]
    return left[0] if len(left) == 1 else None


def kind_of_environment(environ: Mapping[str, str]) -> Kind:
    """Return the kind of GPU that masks leave to a job: a kind that this torch supports, with a GPU. Else the CPU.

    Slurm may set the masks of all vendors at once, whatever GPUs there are.
    """
    for kind in torch_build().kinds:
        if any(environ.get(name, "").strip() not in NO_GPU for name in VISIBILITY[kind].naming):
            return kind
    return "cpu"


def unmasked_environ(kind: Kind, environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` for a process that sees all GPUs, in PCI order."""
    variables = VISIBILITY[kind]
    return {name: value for name, value in environ.items() if name not in variables.hiding} | dict(variables.ordering)


def describe(kind: Kind, environ: Mapping[str, str]) -> str:
    """Describe the mask of a process for messages, such as `ZE_AFFINITY_MASK=0 ZE_ENABLE_PCI_ID_DEVICE_ORDER=1`."""
    variables = VISIBILITY[kind]
    names = [name for name in (*variables.hiding, *variables.ordering) if name in environ]
    return " ".join(f"{name}={environ[name]}" for name in names) or "no mask"


@dataclass(frozen=True)
class _Mask:
    """An existing mask."""

    kind: Kind
    variable: str
    value: str
    names: tuple[str, ...]
    """Its entries."""

    def __str__(self) -> str:
        return f"{self.variable}={self.value}"

    def distinct(self) -> set[str]:
        """Entries without tiles, which are parts of a GPU, and without repeats."""
        return {name.partition(".")[0] for name in self.names}

    def numbers(self, gpus: Sequence[Gpu] | None) -> list[int]:
        """Return the numbers of the GPUs it names. Raises LaneError for an invalid entry."""
        return list(dict.fromkeys(self._number(name, gpus) for name in self.names))

    def _number(self, name: str, gpus: Sequence[Gpu] | None) -> int:
        if re.fullmatch(r"\d+(\.\d+)?" if self.kind == "xpu" else r"\d+", name):
            return int(name.partition(".")[0])
        if name.startswith("MIG-"):
            raise LaneError(
                f"{self} names a part of a GPU; lanes are whole GPUs",
                remedy="give the job a whole GPU, or run on the CPU with `--profile profiles/cpu`",
            )
        if not name.startswith("GPU-"):
            raise LaneError(f"{self} cannot be read", remedy=f"set {self.variable} to a GPU's number, such as 0")
        return self._number_of_uuid(name, gpus)

    def _number_of_uuid(self, name: str, gpus: Sequence[Gpu] | None) -> int:
        # Deferred: that module imports this one.
        from .enumerate import uuid_text
        from .gpu_record import known_gpus

        known = known_gpus(self.kind) if gpus is None else gpus
        # An unambiguous prefix of a UUID is enough (CUDA C++ Programming Guide, "Environment variables").
        start = uuid_text(name).replace("-", "")
        matching = [gpu for gpu in known if gpu.uuid.replace("-", "").startswith(start)]
        if len(matching) != 1 or matching[0].number is None:
            raise LaneError(
                f"{self}: {len(matching)} of the {len(known)} {self.kind} GPUs of this machine are called {name}",
                remedy=f"correct {self.variable}; {DOCTOR}",
            )
        return matching[0].number


def _active_mask(kind: Kind, environ: Mapping[str, str]) -> _Mask | None:
    """Return the mask that takes precedence. Raises LaneError if it leaves no GPU."""
    variables = VISIBILITY[kind]
    variable = next((name for name in variables.naming if name in environ), None)
    if variable is None:
        return None
    mask = _Mask(kind, variable, environ[variable], _names(environ[variable]))
    if variable == variables.before and variables.variable in environ:
        # Slurm sets NVIDIA's variable too, with the same numbers and so wrongly counted: it yields to ours.
        mask = replace(mask, names=_counted_within(mask.names, _names(environ[variables.variable])))
    if not mask.names:
        raise LaneError(
            f"{mask} hides every {kind} GPU",
            remedy=f"set {mask.variable} to a GPU or unset it, or run on the CPU with `--profile profiles/cpu`",
        )
    return mask


def _names(value: str) -> tuple[str, ...]:
    names: list[str] = []
    for name in value.split(","):
        # CUDA ignores everything after the first invalid entry.
        if name.strip() in NO_GPU:
            break
        names.append(name.strip())
    return tuple(names)


def _counted_within(names: Sequence[str], indices: Iterable[str]) -> tuple[str, ...]:
    return tuple(names[int(index)] for index in indices if index.isdecimal() and int(index) < len(names))
