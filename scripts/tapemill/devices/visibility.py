"""Masks: environment variables that leave a process one card. They work only before torch is imported.

A lane's number is the card's place in PCI order among the cards the driver shows to an unmasked process, and that is
what the mask says too: one integer per card, never tiles of it such as 0.1.

A mask set by others (Slurm, the user) is a fence: it is narrowed, never widened. What its numbers count differs. Slurm
numbers the cards of a job from 0 if it confines devices with cgroups (`ConstrainDevices`), and by their device files
if not (`common_use_local_device_index` in Slurm's gres_common.c). Confined, an unmasked process sees no more than the
job's cards, which the driver numbers from 0 as well; not confined, it sees all of them. So in both cases the numbers
are places in the unmasked list, and nothing needs to be translated.
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

DOCTOR = "`python -m tapemill doctor` lists the cards"
# Their drivers read the masks when these are imported or soon after, in any case before we could set another.
GPU_LIBRARIES = ("torch", "intel_extension_for_pytorch", "dpctl", "cupy")
# What Slurm writes where a job has no card, and what CUDA takes for the end of the list.
NO_GPU = frozenset({"", "-1", "NoDevFiles"})


@dataclass(frozen=True)
class VisibilityVariables:
    """How one kind of card is masked."""

    variable: str
    ordering: Mapping[str, str]
    """What makes the driver count in PCI order."""
    others: tuple[str, ...] = ()
    """Variables that name cards just as well; they yield to `variable`."""
    before: str | None = None
    """A variable that takes cards away first: `variable` then counts what is left."""
    selectors: tuple[str, ...] = ()
    """Variables with a language of their own that can hide a card, named in messages only."""

    @property
    def naming(self) -> tuple[str, ...]:
        """Variables that name cards, the one that decides first."""
        return (*([] if self.before is None else [self.before]), self.variable, *self.others)

    @property
    def hiding(self) -> tuple[str, ...]:
        """All variables that can hide a card."""
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
    kind: Kind, number: int | None, environ: Mapping[str, str], cards: Sequence[Gpu] | None = None
) -> dict[str, str]:
    """Changes to `environ` that leave a process card `number`, or with None the one card a mask already leaves.

    With None and no mask, nothing is hidden. `cards` serve to understand a mask of UUIDs; they are looked up if not
    given. Raises LaneError for a mask that hides every card, that cannot be read, that leaves another card than the
    lane's, or several where no lane says which.
    """
    masking = VISIBILITY.get(kind)
    if masking is None:
        return {}
    found = _in_force(kind, environ)
    ordering = dict(masking.ordering)
    if number is None:
        if found is not None and len(found.distinct()) != 1:
            raise LaneError(
                f"{found} leaves {len(found.distinct())} {kind} cards, and the job was given no lane",
                remedy=f"let {found.variable} name one card, or hand out lanes with `--scheduler lanes`",
            )
        if found is not None and found.variable == masking.before:
            ordering[masking.variable] = "0"
        # Whoever set the mask may have counted in an order of his own.
        return {name: value for name, value in ordering.items() if name not in environ}
    if found is None:
        return {masking.variable: str(number), **ordering}
    if number not in found.numbers(cards):
        raise LaneError(
            f"lane gpu{number} is {kind} card {number}, but {found} hides this card",
            remedy=f"start the run without {found.variable} or with card {number} in it, or take the lane away with "
            f"`--resources gpu{number}=0`",
        )
    if found.variable == masking.before:
        return {found.variable: str(number), masking.variable: "0", **ordering}
    return {masking.variable: str(number), **ordering}


def bind_process(
    kind: Kind,
    number: int | None,
    environ: MutableMapping[str, str] = os.environ,
    modules: Mapping[str, Any] = sys.modules,
    cards: Sequence[Gpu] | None = None,
) -> None:
    """Leave this process the lane's card alone.

    Raises LaneError like `mask_for`, and if a library that talks to cards was imported before: it may have chosen.
    """
    early = [name for name in GPU_LIBRARIES if name in modules]
    if early:
        raise LaneError(
            f"{' and '.join(early)} was imported before the job was bound to its card",
            remedy="import it inside the function that needs it; if you changed no code, report this as a fault",
        )
    environ.update(mask_for(kind, number, environ, cards))


def visible_numbers(kind: Kind, environ: Mapping[str, str], cards: Sequence[Gpu] | None = None) -> list[int] | None:
    """Numbers of the cards that a mask of others leaves; None without a mask. Raises LaneError like `mask_for`."""
    found = _in_force(kind, environ) if kind in VISIBILITY else None
    return None if found is None else found.numbers(cards)


def numbers_from_cluster(kind: Kind, environ: Mapping[str, str]) -> int | None:
    """The one card that Slurm gave to a job; None if it gave none, or several. Raises LaneError like `mask_for`.

    For work on the processor, which no mask concerns, it is a number to tell the job's place from others by.
    """
    if kind in VISIBILITY:
        left = visible_numbers(kind, environ) or []
    else:
        names = environ.get("SLURM_STEP_GPUS") or environ.get("SLURM_JOB_GPUS") or ""
        left = [int(name) for name in names.split(",") if name.isdecimal()]
    return left[0] if len(left) == 1 else None


def kind_of_environment(environ: Mapping[str, str]) -> Kind:
    """The kind of card a job was given by a mask alone: one this torch computes on, with a card in it. Else the CPU.

    Slurm may set the masks of all vendors at once, whatever cards there are.
    """
    for kind in torch_build().kinds:
        if any(environ.get(name, "").strip() not in NO_GPU for name in VISIBILITY[kind].naming):
            return kind
    return "cpu"


def unmasked_environ(kind: Kind, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a process that is to see all cards, in PCI order."""
    masking = VISIBILITY[kind]
    return {name: value for name, value in environ.items() if name not in masking.hiding} | dict(masking.ordering)


def describe(kind: Kind, environ: Mapping[str, str]) -> str:
    """What hides cards from a process, for messages, such as `ZE_AFFINITY_MASK=0 ZE_ENABLE_PCI_ID_DEVICE_ORDER=1`."""
    masking = VISIBILITY[kind]
    names = [name for name in (*masking.hiding, *masking.ordering) if name in environ]
    return " ".join(f"{name}={environ[name]}" for name in names) or "no mask"


@dataclass(frozen=True)
class _Mask:
    """A mask that somebody set."""

    kind: Kind
    variable: str
    value: str
    names: tuple[str, ...]
    """What it names, one by one."""

    def __str__(self) -> str:
        return f"{self.variable}={self.value}"

    def distinct(self) -> set[str]:
        """The cards it names, each once: tiles are parts of a card."""
        return {name.partition(".")[0] for name in self.names}

    def numbers(self, cards: Sequence[Gpu] | None) -> list[int]:
        """The cards it names by number. Raises LaneError for what cannot be a card."""
        return list(dict.fromkeys(self._number(name, cards) for name in self.names))

    def _number(self, name: str, cards: Sequence[Gpu] | None) -> int:
        if re.fullmatch(r"\d+(\.\d+)?" if self.kind == "xpu" else r"\d+", name):
            return int(name.partition(".")[0])
        if name.startswith("MIG-"):
            raise LaneError(
                f"{self} names a part of a card; lanes are whole cards",
                remedy="give the job a whole card, or run on the CPU with `--profile profiles/cpu`",
            )
        if not name.startswith("GPU-"):
            raise LaneError(f"{self} cannot be read", remedy=f"let {self.variable} be a card's number, such as 0")
        return self._number_of_uuid(name, cards)

    def _number_of_uuid(self, name: str, cards: Sequence[Gpu] | None) -> int:
        # That module builds on this one.
        from tapemill.lanes.gpu_registry import known_gpus

        from .enumerate import uuid_text

        known = known_gpus(self.kind) if cards is None else cards
        # The beginning of a UUID is enough if it leaves no doubt (CUDA C++ Programming Guide, "Environment variables").
        start = uuid_text(name).replace("-", "")
        fitting = [card for card in known if card.uuid.replace("-", "").startswith(start)]
        if len(fitting) != 1 or fitting[0].number is None:
            raise LaneError(
                f"{self}: {len(fitting)} of the {len(known)} {self.kind} cards of this machine are called {name}",
                remedy=f"correct {self.variable}; {DOCTOR}",
            )
        return fitting[0].number


def _in_force(kind: Kind, environ: Mapping[str, str]) -> _Mask | None:
    """The mask that decides. Raises LaneError if it leaves no card."""
    masking = VISIBILITY[kind]
    variable = next((name for name in masking.naming if name in environ), None)
    if variable is None:
        return None
    mask = _Mask(kind, variable, environ[variable], _names(environ[variable]))
    if variable == masking.before and masking.variable in environ:
        # Slurm sets NVIDIA's variable too, with the same numbers and so wrongly counted: it yields to ours.
        mask = replace(mask, names=_counted_within(mask.names, _names(environ[masking.variable])))
    if not mask.names:
        raise LaneError(
            f"{mask} hides every {kind} card",
            remedy=f"let {mask.variable} name a card or remove it, or run on the CPU with `--profile profiles/cpu`",
        )
    return mask


def _names(value: str) -> tuple[str, ...]:
    names: list[str] = []
    for name in value.split(","):
        # CUDA heeds nothing after the first name that is none.
        if name.strip() in NO_GPU:
            break
        names.append(name.strip())
    return tuple(names)


def _counted_within(names: Sequence[str], places: Iterable[str]) -> tuple[str, ...]:
    return tuple(names[int(place)] for place in places if place.isdecimal() and int(place) < len(names))
