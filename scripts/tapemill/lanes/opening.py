"""Settling on a card: mask, import of torch, and the look whether it is the right card. Once in a process."""

from __future__ import annotations

import os

from ..device import Device, open_device
from . import cards, masks
from .lane import Lane


def open_lane(lane: Lane, memory_share: float) -> Device:
    """Bind this process to the lane's card and return it as the device of its jobs.

    Raises LaneError for a mask that contradicts the lane, a card that is missing or not the one expected, and if torch
    was imported too early.
    """
    masks.pin(lane.kind, lane.number)
    if lane.kind == "cpu":
        # No driver to ask: torch is imported by those jobs that need it.
        return Device("cpu", memory_share)
    device = Device(lane.kind, memory_share)
    open_device(device)
    card = cards.verify(lane.kind, lane.number)
    return Device(lane.kind, memory_share, pci_address=card.pci_address, name=card.name, uuid=card.uuid)


def step_back(nice: int) -> None:
    """Let other programs of the machine go first, by at least this nice level."""
    os.nice(max(0, nice - os.nice(0)))
