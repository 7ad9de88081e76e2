"""Checks of torch, of the GPUs it can use, and of those that the profile declares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.devices import gpu_record, ipex, pci, visibility
from tapemill.devices.device import KINDS, VENDORS, Kind
from tapemill.devices.enumerate import Gpu
from tapemill.devices.torch_build import install_remedy, torch_build
from tapemill.lanes import gpu_registry

from .config import profile_values
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Collection

PROFILES: Final[Mapping[Kind, str]] = {
    "xpu": "--profile arc2",
    "cuda": "--profile profiles/cuda",
    "hip": "--profile profiles/rocm",
}
ON_CPU: Final = "--profile profiles/cpu"
GIB: Final = 1 << 30
NVIDIA: Final = Path("/proc/driver/nvidia/gpus")


def check_torch(options: CheckOptions) -> Iterator[Finding]:
    """Check the installed build of torch, and that it can use the kind of GPU asked for."""
    build = torch_build()
    if not build.version:
        yield error("torch is not installed", "run `make setup`")
        return
    usable = ", ".join([*build.kinds, "cpu"])
    yield ok(f"torch {build.version} computes on: {usable}")
    yield from _extension()
    if options.kind is not None and options.kind not in build.kinds:
        yield error(f"this torch cannot use {options.kind} GPUs", install_remedy(options.kind))


def check_gpus(options: CheckOptions) -> Iterator[Finding]:
    """List every GPU that torch can use, and record them."""
    kinds = [kind for kind in torch_build().kinds if options.kind in {None, kind}]
    found = 0
    for kind in kinds:
        listed = gpu_record.record_gpus(kind)
        found += len(listed)
        yield from map(_gpu_finding, listed)
        if len({gpu.uuid or gpu.pci_address for gpu in listed}) < len(listed):
            yield warning(
                f"these {kind} GPUs have the same UUID, so a job on the wrong one would not be noticed",
                "update the GPUs' driver",
            )
        profile = PROFILES.get(kind)
        if listed and profile is not None:
            declared = " ".join(f"gpu{gpu.number}: 2" for gpu in listed)
            yield ok(f"these GPUs are used with `{profile}`, where `resources` needs {declared}")
    if not found:
        yield ok(f"no GPU that this torch can use; the CPU does the same work: `{ON_CPU}`")
    yield from _unused(kinds, found)


def check_lanes(options: CheckOptions) -> Iterator[Finding]:
    """Check that each GPU that the profile declares exists, as a run does before its first GPU job."""
    if options.profile is None:
        return
    from snakemake_scheduler_plugin_lanes.declared import lanes_of_profile

    kind: Any = profile_values(options.profile).get("scheduler-lanes-device", "cpu")
    if kind not in KINDS:
        yield error(
            f"the profile sets `scheduler-lanes-device: {kind}`, which is not a known kind of GPU",
            f"use one of {', '.join(KINDS)}",
        )
        return
    declared = {name: most for name, most in lanes_of_profile(["--profile", options.profile], {}).items() if most > 0}
    if kind == "cpu":
        yield ok("the profile computes on the processor" + _lane_list(declared))
    elif not declared:
        yield error(
            f"the profile asks for GPUs of kind {kind} and declares none",
            "declare each under `resources` (gpu0: 2, ...), as `python -m tapemill doctor` lists them",
        )
    else:
        gpu_registry.check_lanes(kind, [int(name.removeprefix("gpu")) for name in declared])
        yield ok(f"the profile's GPUs are there{_lane_list(declared)}")


def _extension() -> Iterator[Finding]:
    """Intel's extension for PyTorch, where it is installed."""
    versions = ipex.installed_versions()
    if versions is None:
        return
    torch, extension = versions
    if ipex.extension_version():
        yield ok(f"{ipex.PACKAGE} {extension} is used on: {', '.join(ipex.KINDS)}")
    else:
        yield warning(
            f"{ipex.PACKAGE} {extension} does not belong to torch {torch} and is not used",
            "uninstall it, or use the environment of `make setup-ipex`, where the versions match",
        )


def _lane_list(declared: Collection[str]) -> str:
    return f": {', '.join(declared)}" if declared else ""


def _gpu_finding(gpu: Gpu) -> Finding:
    return ok(
        f"{gpu.kind} GPU {gpu.number}: {gpu.name}",
        [
            ("UUID", gpu.uuid or "unknown"),
            ("PCI address", gpu.pci_address or "unknown"),
            ("memory", f"{gpu.total_bytes / GIB:.1f} GiB"),
            ("driver", gpu.driver or "unknown"),
            ("mask", gpu.mask),
        ],
    )


def _unused(kinds: Collection[Kind], found: int) -> Iterator[Finding]:
    """GPUs that Linux knows and torch cannot use, with the reason."""
    names = [name for kind in kinds for name in visibility.VISIBILITY[kind].hiding if name in os.environ]
    if names and not found:
        facts = [("mask", f"{name}={os.environ[name]}") for name in names]
        yield warning("a mask in the environment may hide GPUs", "unset it and run the doctor again", facts)
    intel, amd = pci.intel_gpus(), pci.amd_gpus()
    nodes = [*map(pci.render_node, [*intel, *amd]), *([pci.DEV / pci.AMD_COMPUTE_NODE] if amd else [])]
    no_access = [node for node in nodes if node.exists() and not os.access(node, os.R_OK | os.W_OK)]
    if no_access:
        yield warning(
            "there are GPUs that this user may not use",
            "add the user to the groups `render` and `video`, then log in again",
            [("device file", str(node)) for node in no_access],
        )
    nvidia = len(list(NVIDIA.iterdir())) if NVIDIA.is_dir() else 0
    counts: dict[Kind, int] = {"xpu": len(intel), "cuda": nvidia, "hip": len(amd)}
    for kind, count in counts.items():
        if count and kind not in torch_build().kinds:
            yield ok(
                f"{VENDORS[kind]} GPUs that this torch does not use: {count}", [("to use it", install_remedy(kind))]
            )
