"""`python -m tapemill doctor`: what this machine has for a run, and what to do about what it lacks.

Each check is a function that returns findings. To look at more, write another and add it to CHECKS.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .device import Kind
from .errors import TapemillError
from .lanes import cards, masks
from .lanes.build import install_remedy, torch_build
from .lanes.listing import Card

if TYPE_CHECKING:
    from rich.console import Console

PROFILES = {"xpu": "--profile arc2", "cuda": "--profile profiles/cuda"}
ON_CPU = "--profile profiles/cpu"
GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """Something seen, good or bad."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    """What belongs to it, by name."""
    remedy: str | None = None
    broken: bool = False
    """Whether a run needs it and would fail. A machine without a card is not broken, the CPU does the same work."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    kind: Kind | None
    """Look for cards of this kind alone; None for all that torch can use."""


Check = Callable[[Asked], Iterator[Finding]]


def add_command(commands: Any) -> None:
    """Add `doctor` to the subcommands of an argument parser."""
    parser = commands.add_parser(
        "doctor",
        help="show the cards of this machine and what a run would lack",
        description="Show the cards of this machine with the mask that selects each, and what a run would lack. The "
        "cards are recorded, so that jobs can tell whether they are on the right one. The exit code is 1 if something "
        "is broken that a run needs.",
    )
    parser.add_argument("--kind", choices=list(masks.MASKINGS), help="cards of this kind alone")
    parser.set_defaults(command=_command)


def _command(options: argparse.Namespace) -> int:
    from rich.console import Console

    # Whole lines, so that a mask can be copied; names of cards are text and no markup.
    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    return report(examine(Asked(options.kind)), console)


def examine(asked: Asked) -> Iterator[Finding]:
    """All findings, each as soon as it is there. A check that fails is a finding too."""
    for check in CHECKS:
        try:
            yield from check(asked)
        except TapemillError as error:
            said = [("said", line) for line in error.stderr_tail]
            if error.file is not None:
                said.insert(0, ("file", str(error.file)))
            yield Finding(error.what, facts=said, remedy=error.remedy, broken=True)


def report(findings: Iterator[Finding], console: Console) -> int:
    """Print the findings and return the exit code."""
    broken = 0
    for finding in findings:
        label = "BROKEN" if finding.broken else "ok" if finding.remedy is None else "note"
        console.print(f"{label:7}{finding.title}")
        for name, value in finding.facts:
            console.print(f"       {name:14}{value}")
        if finding.remedy is not None:
            console.print(f"       what to do: {finding.remedy}")
        broken += finding.broken
    return 1 if broken else 0


def check_torch(asked: Asked) -> Iterator[Finding]:
    """The installed build, and whether it can use the cards asked for."""
    build = torch_build()
    if not build.version:
        yield Finding("torch is not installed", remedy="run `make setup`", broken=True)
        return
    usable = ", ".join([*build.kinds, "cpu"])
    yield Finding(f"torch {build.version} computes on: {usable}")
    if asked.kind is not None and asked.kind not in build.kinds:
        yield Finding(f"this torch cannot use {asked.kind} cards", remedy=install_remedy(asked.kind), broken=True)


def check_cards(asked: Asked) -> Iterator[Finding]:
    """Every card that torch can use; they are recorded on the way."""
    kinds = [kind for kind in torch_build().kinds if asked.kind in {None, kind}]
    found = 0
    for kind in kinds:
        listed = cards.record_cards(kind)
        found += len(listed)
        yield from map(_card, listed)
        if len({card.uuid or card.pci_address for card in listed}) < len(listed):
            yield Finding(
                f"these {kind} cards have the same UUID, so a job on the wrong one would not be noticed",
                remedy="update the cards' driver",
            )
        profile = PROFILES.get(kind)
        if listed and profile is not None:
            declared = " ".join(f"gpu{card.number}: 2" for card in listed)
            yield Finding(f"these cards are used with `{profile}`, where `resources` has to say {declared}")
    if not found:
        yield Finding(f"no card that this torch could use; the CPU does the same work: `{ON_CPU}`")


def _card(card: Card) -> Finding:
    return Finding(
        f"{card.kind} card {card.number}: {card.name}",
        facts=[
            ("UUID", card.uuid or "unknown"),
            ("PCI address", card.pci_address or "unknown"),
            ("memory", f"{card.total_bytes / GIB:.1f} GiB"),
            ("driver", card.driver or "unknown"),
            ("mask", card.mask),
        ],
    )


CHECKS: tuple[Check, ...] = (check_torch, check_cards)
