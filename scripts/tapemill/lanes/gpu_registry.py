"""The cards of this machine: recorded once, and compared with the one a process really got.

After masking a card is always number 0 of one, so its number tells nothing; its UUID does.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Collection
from pathlib import Path

from tapemill.core.errors import LaneError
from tapemill.devices import visibility
from tapemill.devices.device import Device, Kind, open_device
from tapemill.devices.enumerate import Gpu, TorchDevice, enumerate_gpus, torch_devices
from tapemill.devices.torch_build import install_remedy, torch_build
from tapemill.process.runtime_dirs import allocation, runtime_folder

from .lane import Lane

LOG = logging.getLogger("tapemill.lanes")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def record_gpus(kind: Kind) -> list[Gpu]:
    """List the cards and write down what was found, for the jobs to compare with. Raises SetupError."""
    cards = enumerate_gpus(kind)
    values = {**_circumstances(), "cards": [card.to_plain() for card in cards]}
    target = _record(kind)
    # Two runs may write at the same time.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as stream:
        json.dump(values, stream)
    Path(stream.name).replace(target)
    return cards


def recorded_gpus(kind: Kind) -> list[Gpu] | None:
    """What was written down since the machine started, with this torch; None if nothing was."""
    try:
        values = json.loads(_record(kind).read_text(encoding="utf-8"))
        if any(values[name] != value for name, value in _circumstances().items()):
            return None
        return [Gpu.from_plain(card) for card in values["cards"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def known_gpus(kind: Kind) -> list[Gpu]:
    """What was written down, or else what is found now. Raises SetupError."""
    cards = recorded_gpus(kind)
    return record_gpus(kind) if cards is None else cards


def gpu_numbers(kind: Kind) -> list[int]:
    """Numbers of the cards this process may use: those a mask leaves, else all. None for the CPU.

    Raises LaneError for a mask that hides all of them or cannot be read, SetupError if they cannot be listed.
    """
    if kind == "cpu":
        return []
    left = visibility.visible_numbers(kind, os.environ)
    return [card.number for card in known_gpus(kind) if card.number is not None] if left is None else left


def check_lanes(kind: Kind, numbers: Collection[int]) -> None:
    """Record the cards before a run, and see that each declared lane has one.

    Raises LaneError that names the lanes without a card, or the build of torch that cannot use any; SetupError if the
    cards cannot be listed.
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
    cards = record_gpus(kind)
    there = {card.number for card in cards}
    missing = [f"gpu{number}" for number in sorted(numbers) if number not in there]
    if not missing:
        return
    listed = ", ".join(f"{card.number}: {card.name}" for card in cards)
    found = f"{len(cards)} {kind} card{'' if len(cards) == 1 else 's'} ({listed})" if cards else f"no {kind} card"
    without = " ".join(f"{name}=0" for name in missing)
    remedy = f"leave out what is not there with `--resources {without}`, or {on_cpu}" if cards else on_cpu
    raise LaneError(f"the profile declares {' and '.join(missing)}, but this machine has {found}", remedy=remedy)


def expected_gpu(kind: Kind, number: int | None) -> Gpu | None:
    """The card that a lane is to have; None if no lane says so or nothing was recorded.

    Raises LaneError if the record has no such card.
    """
    cards = recorded_gpus(kind) if number is not None else None
    if cards is None:
        return None
    for card in cards:
        if card.number == number:
            return card
    raise LaneError(
        f"lane gpu{number}: this machine has no {kind} card {number}",
        remedy=f"take the lane out of the profile; {visibility.DOCTOR}",
    )


def verify_gpu(kind: Kind, number: int | None) -> Gpu:
    """The card this process was left with, after `masks.bind_process`. Imports torch.

    Raises LaneError unless that is exactly one, and the one recorded for lane `number`. Without a lane (a cluster's
    mask) it has to be one of those recorded, if any are.
    """
    expected = expected_gpu(kind, number)
    seen = torch_devices(kind)
    mask = visibility.describe(kind, os.environ)
    if len(seen) != 1:
        raise LaneError(
            f"a job computes on one card, but this one sees {len(seen)} of kind {kind} ({mask})",
            remedy="hand out lanes with `--scheduler lanes`" if seen else f"compare the mask: {visibility.DOCTOR}",
        )
    candidates = [expected] if expected is not None else recorded_gpus(kind) or []
    for card in candidates:
        if _is(card, seen[0]):
            return card
    if candidates:
        wanted = " or ".join(f"{card.name}, {card.uuid or card.pci_address}" for card in candidates)
        raise LaneError(
            f"the job is on the wrong card: {seen[0].name}, {seen[0].uuid or seen[0].pci_address} "
            f"instead of {wanted} ({mask})",
            remedy="the cards may have changed since they were recorded: `python -m tapemill doctor` records them anew",
        )
    LOG.info("no cards were recorded, so the UUID %s is not compared", seen[0].uuid)
    return Gpu.of(kind, number, seen[0], mask)


def _is(card: Gpu, seen: TorchDevice) -> bool:
    if card.uuid and seen.uuid:
        return card.uuid == seen.uuid
    return card.pci_address != "" and card.pci_address == seen.pci_address


def _record(kind: Kind) -> Path:
    # Inside an allocation of Slurm other cards may be there, under the same numbers.
    return runtime_folder() / f"{'-'.join(filter(None, ['cards', kind, allocation()]))}.json"


def _circumstances() -> dict[str, str]:
    return {"boot": BOOT_ID.read_text(encoding="ascii").strip(), "torch": torch_build().version}


def bind_device(lane: Lane, memory_share: float) -> Device:
    """Bind this process to the lane's card and return it as the device of its jobs.

    Raises LaneError for a mask that contradicts the lane, a card that is missing or not the one expected, and if torch
    was imported too early.
    """
    visibility.bind_process(lane.kind, lane.number)
    if lane.kind == "cpu":
        # No driver to ask: torch is imported by those jobs that need it.
        return Device("cpu", memory_share)
    device = Device(lane.kind, memory_share)
    open_device(device)
    card = verify_gpu(lane.kind, lane.number)
    return Device(lane.kind, memory_share, pci_address=card.pci_address, name=card.name, uuid=card.uuid)


def renice(nice: int) -> None:
    """Let other programs of the machine go first, by at least this nice level."""
    os.nice(max(0, nice - os.nice(0)))
