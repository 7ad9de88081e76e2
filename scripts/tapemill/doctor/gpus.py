"""torch, the cards it can use, and whether those are the ones that the profile declares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.devices import pci, visibility
from tapemill.devices.device import KINDS, Kind
from tapemill.devices.enumerate import Gpu
from tapemill.devices.torch_build import install_remedy, torch_build
from tapemill.lanes import gpu_registry

from .config import profile_values
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Collection

PROFILES: Final[Mapping[Kind, str]] = {"xpu": "--profile arc2", "cuda": "--profile profiles/cuda"}
ON_CPU: Final = "--profile profiles/cpu"
GIB: Final = 1 << 30
NVIDIA: Final = Path("/proc/driver/nvidia/gpus")


def check_torch(asked: CheckOptions) -> Iterator[Finding]:
    """The installed build, and whether it can use the cards asked for."""
    build = torch_build()
    if not build.version:
        yield error("torch is not installed", "run `make setup`")
        return
    usable = ", ".join([*build.kinds, "cpu"])
    yield ok(f"torch {build.version} computes on: {usable}")
    if asked.kind is not None and asked.kind not in build.kinds:
        yield error(f"this torch cannot use {asked.kind} cards", install_remedy(asked.kind))


def check_cards(asked: CheckOptions) -> Iterator[Finding]:
    """Every card that torch can use; they are recorded on the way."""
    kinds = [kind for kind in torch_build().kinds if asked.kind in {None, kind}]
    found = 0
    for kind in kinds:
        listed = gpu_registry.record_gpus(kind)
        found += len(listed)
        yield from map(_card, listed)
        if len({card.uuid or card.pci_address for card in listed}) < len(listed):
            yield warning(
                f"these {kind} cards have the same UUID, so a job on the wrong one would not be noticed",
                "update the cards' driver",
            )
        profile = PROFILES.get(kind)
        if listed and profile is not None:
            declared = " ".join(f"gpu{card.number}: 2" for card in listed)
            yield ok(f"these cards are used with `{profile}`, where `resources` has to say {declared}")
    if not found:
        yield ok(f"no card that this torch could use; the CPU does the same work: `{ON_CPU}`")
    yield from _unused(kinds, found)


def check_lanes(asked: CheckOptions) -> Iterator[Finding]:
    """Whether each card that the profile declares is there, as a run would ask before its first job on one."""
    if asked.profile is None:
        return
    from snakemake_scheduler_plugin_lanes.declared import lanes_of_profile

    kind: Any = profile_values(asked.profile).get("scheduler-lanes-device", "cpu")
    if kind not in KINDS:
        yield error(
            f"the profile says `scheduler-lanes-device: {kind}`, which is no known kind of card",
            f"take one of {', '.join(KINDS)}",
        )
        return
    declared = {name: most for name, most in lanes_of_profile(["--profile", asked.profile], {}).items() if most > 0}
    if kind == "cpu":
        yield ok("the profile computes on the processor" + _as_lanes(declared))
    elif not declared:
        yield error(
            f"the profile asks for cards of kind {kind} and declares none",
            "declare each under `resources` (gpu0: 2, ...), as `python -m tapemill doctor` lists them",
        )
    else:
        gpu_registry.check_lanes(kind, [int(name.removeprefix("gpu")) for name in declared])
        yield ok(f"the profile's cards are there{_as_lanes(declared)}")


def _as_lanes(declared: Collection[str]) -> str:
    return f": {', '.join(declared)}" if declared else ""


def _card(card: Gpu) -> Finding:
    return ok(
        f"{card.kind} card {card.number}: {card.name}",
        [
            ("UUID", card.uuid or "unknown"),
            ("PCI address", card.pci_address or "unknown"),
            ("memory", f"{card.total_bytes / GIB:.1f} GiB"),
            ("driver", card.driver or "unknown"),
            ("mask", card.mask),
        ],
    )


def _unused(kinds: Collection[Kind], found: int) -> Iterator[Finding]:
    """Cards that Linux knows and nobody will compute on, and why."""
    names = [name for kind in kinds for name in visibility.VISIBILITY[kind].hiding if name in os.environ]
    if names and not found:
        facts = [("mask", f"{name}={os.environ[name]}") for name in names]
        yield warning("a mask in the environment may hide cards", "unset it and look again", facts)
    intel = pci.intel_gpus()
    shut = [node for node in map(pci.render_node, intel) if node.exists() and not os.access(node, os.R_OK | os.W_OK)]
    if shut:
        yield warning(
            "there are Intel cards that this user may not use",
            "have the user added to the groups `render` and `video`, then log in anew",
            [("device file", str(node)) for node in shut],
        )
    nvidia = len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0
    for kind, maker, count in (("xpu", "Intel", len(intel)), ("cuda", "NVIDIA", nvidia)):
        if count and kind not in torch_build().kinds:
            yield ok(
                f"graphics of {maker} that this torch does not use: {count}",
                [("to use it", install_remedy(kind))],  # type: ignore[arg-type]
            )
