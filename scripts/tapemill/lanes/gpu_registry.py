"""GPUs of the lanes: each declared lane has one, and each job is on the one of its lane.

After masking a GPU is always number 0, so it is identified by its UUID.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection

from tapemill.core.errors import LaneError
from tapemill.devices import visibility
from tapemill.devices.device import Device, Kind, open_device
from tapemill.devices.enumerate import Gpu, TorchDevice, torch_devices
from tapemill.devices.gpu_record import known_gpus, record_gpus, recorded_gpus
from tapemill.devices.torch_build import install_remedy, torch_build

from .lane import Lane

LOG = logging.getLogger("tapemill.lanes")


def gpu_numbers(kind: Kind) -> list[int]:
    """Return the numbers of the GPUs this process may use: those a mask leaves, else all; empty for the CPU.

    Raises LaneError for a mask that hides all of them or is invalid, SetupError if they cannot be enumerated.
    """
    if kind == "cpu":
        return []
    left = visibility.visible_numbers(kind, os.environ)
    return [gpu.number for gpu in known_gpus(kind) if gpu.number is not None] if left is None else left


def check_lanes(kind: Kind, numbers: Collection[int]) -> None:
    """Record the GPUs before a run, and check that each declared lane has one.

    Raises LaneError that names the lanes without a GPU, or the build of torch that supports none; SetupError if the
    GPUs cannot be enumerated.
    """
    if kind == "cpu":
        return
    on_cpu = "run on the CPU with `--profile profiles/cpu`"
    build = torch_build()
    if kind not in build.kinds:
        raise LaneError(
            f"the profile declares {kind} lanes, but the installed torch {build.version or '(none)'} cannot use them",
            remedy=f"{install_remedy(kind)}, or {on_cpu}",
        )
    gpus = record_gpus(kind)
    existing = {gpu.number for gpu in gpus}
    missing = [f"gpu{number}" for number in sorted(numbers) if number not in existing]
    if not missing:
        return
    listed = ", ".join(f"{gpu.number}: {gpu.name}" for gpu in gpus)
    found = f"{len(gpus)} {kind} GPU{'' if len(gpus) == 1 else 's'} ({listed})" if gpus else f"no {kind} GPU"
    without = " ".join(f"{name}=0" for name in missing)
    remedy = f"leave out missing GPUs with `--resources {without}`, or {on_cpu}" if gpus else on_cpu
    raise LaneError(f"the profile declares {' and '.join(missing)}, but this machine has {found}", remedy=remedy)


def expected_gpu(kind: Kind, number: int | None) -> Gpu | None:
    """Return the recorded GPU of a lane; None without a number or without a record.

    Raises LaneError if the record has no such GPU.
    """
    gpus = recorded_gpus(kind) if number is not None else None
    if gpus is None:
        return None
    for gpu in gpus:
        if gpu.number == number:
            return gpu
    raise LaneError(
        f"lane gpu{number}: this machine has no {kind} GPU {number}",
        remedy=f"remove the lane from the profile; {visibility.DOCTOR}",
    )


def verify_gpu(kind: Kind, number: int | None) -> Gpu:
    """Return the GPU this process sees after `visibility.bind_process`. Imports torch.

    Raises LaneError unless it is exactly one, and the one recorded for lane `number`. Without a lane (a cluster's mask)
    it has to be one of those recorded, if any are.
    """
    expected = expected_gpu(kind, number)
    seen = torch_devices(kind)
    mask = visibility.describe(kind, os.environ)
    if len(seen) != 1:
        raise LaneError(
            f"a job computes on one GPU, but this one sees {len(seen)} of kind {kind} ({mask})",
            remedy="hand out lanes with `--scheduler lanes`" if seen else f"compare the mask: {visibility.DOCTOR}",
        )
    candidates = [expected] if expected is not None else recorded_gpus(kind) or []
    for gpu in candidates:
        if _is_same(gpu, seen[0]):
            return gpu
    if candidates:
        wanted = " or ".join(f"{gpu.name}, {gpu.uuid or gpu.pci_address}" for gpu in candidates)
        raise LaneError(
            f"the job is on the wrong GPU: {seen[0].name}, {seen[0].uuid or seen[0].pci_address} "
            f"instead of {wanted} ({mask})",
            remedy="the GPUs may have changed since they were recorded: `python -m tapemill doctor` records them again",
        )
    LOG.info("no GPUs were recorded, so the UUID %s is not compared", seen[0].uuid)
    return Gpu.of(kind, number, seen[0], mask)


def _is_same(gpu: Gpu, seen: TorchDevice) -> bool:
    if gpu.uuid and seen.uuid:
        return gpu.uuid == seen.uuid
    return gpu.pci_address != "" and gpu.pci_address == seen.pci_address


def bind_device(lane: Lane, memory_share: float) -> Device:
    """Bind this process to the lane's GPU and return it as the device of its jobs.

    Raises LaneError for a mask that contradicts the lane, a GPU that is missing or not the expected one, and if torch
    was imported too early.
    """
    visibility.bind_process(lane.kind, lane.number)
    if lane.kind == "cpu":
        # There is no driver to query: jobs that need torch import it.
        return Device("cpu", memory_share)
    device = Device(lane.kind, memory_share)
    open_device(device)
    gpu = verify_gpu(lane.kind, lane.number)
    return Device(lane.kind, memory_share, pci_address=gpu.pci_address, name=gpu.name, uuid=gpu.uuid)


def renice(nice: int) -> None:
    """Raise the nice level of this process to at least `nice`."""
    os.nice(max(0, nice - os.nice(0)))
