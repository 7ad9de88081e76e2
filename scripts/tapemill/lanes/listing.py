"""All cards of this machine, as a process without a mask sees them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import pci
from ..device import Kind
from ..errors import SetupError
from . import masks, visible
from .visible import Visible

LOG = logging.getLogger("tapemill.lanes")

# Importing torch takes seconds, a driver that has to load firmware some more.
LIST_TIMEOUT_S = 120.0
TAIL_LINES = 12


@dataclass(frozen=True)
class Card:
    """One card."""

    kind: Kind
    number: int | None
    """Its place in PCI order, which is the lane's number; None if unknown, under a mask that others set."""
    name: str
    uuid: str
    pci_address: str
    """Such as 0000:03:00.0; empty if unknown."""
    total_bytes: int
    driver: str
    mask: str
    """The environment that leaves a process this card alone."""

    @classmethod
    def of(cls, kind: Kind, number: int | None, seen: Visible, mask: str) -> Card:
        """A card that torch sees."""
        return cls(kind, number, seen.name, seen.uuid, seen.pci_address, seen.total_bytes, seen.driver, mask)

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Card:
        """The reverse."""
        return cls(**values)


def list_cards(kind: Kind) -> list[Card]:
    """All cards of a kind, found by a process without a mask. The CPU is no card.

    Raises SetupError if that process fails.
    """
    if kind == "cpu":
        return []
    environ = masks.unmasked(kind, os.environ)
    found = _look(kind, environ)
    if kind != "xpu":
        return [_card(kind, number, seen) for number, seen in enumerate(found)]
    addresses = pci.intel_cards()
    numbered = dict(enumerate(found))
    if 0 < len(found) < len(addresses):
        numbered = _tried_by_mask(found, environ, len(addresses))
        addresses = addresses if len(numbered) == len(addresses) else []
    elif len(found) != len(addresses):
        addresses = []
    known = {seen.uuid for seen in found}
    return [
        _card(kind, number, replace(seen, pci_address=addresses[number] if addresses else ""))
        for number, seen in numbered.items()
        if seen.uuid in known
    ]


def _tried_by_mask(found: Sequence[Visible], environ: Mapping[str, str], count: int) -> dict[int, Visible]:
    """What each mask leaves. Beside cards torch hides integrated graphics, but the mask counts them (often as 0)."""
    LOG.info("torch shows %d of %d Intel devices, so each mask is tried", len(found), count)
    left: dict[int, Visible] = {}
    for number in range(count):
        seen = _look("xpu", {**environ, masks.MASKINGS["xpu"].variable: str(number)})
        if len(seen) == 1:
            left[number] = seen[0]
    return left


def _look(kind: Kind, environ: Mapping[str, str]) -> list[Visible]:
    # The library need not be installed, it may just lie on the path of this process.
    paths = [str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")]
    # Without the working folder on the path, whatever lies there.
    command = [sys.executable, "-P", "-c", f"from {visible.__name__} import main; main()", kind]
    try:
        done = subprocess.run(
            command,
            env={**environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIST_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"torch did not list the {kind} cards within {LIST_TIMEOUT_S:.0f} s",
            tool="torch",
            remedy="a card or its driver hangs: look into the system log, restart the machine",
        ) from error
    if done.returncode != 0:
        raise SetupError(
            f"torch could not list the {kind} cards",
            tool="torch",
            tool_exit_code=done.returncode,
            stderr_tail=done.stderr.strip().splitlines()[-TAIL_LINES:],
            remedy="install or repair the card's driver, or run on the CPU with `--profile profiles/cpu`",
        )
    for line in done.stderr.strip().splitlines():
        LOG.info("  %s", line)
    return [Visible(**values) for values in json.loads(done.stdout.strip().splitlines()[-1])]


def _card(kind: Kind, number: int, seen: Visible) -> Card:
    return Card.of(kind, number, seen, masks.in_words(kind, masks.mask_for(kind, number, {})))
