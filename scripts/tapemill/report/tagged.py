"""What the finished tape says about itself: its title, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..media import opened
from ..tape.tags import PREFIX


@dataclass(frozen=True)
class Tagged:
    """The tags of a tape, as a page shows them."""

    title: str
    date: str
    width: int
    """Of the picture, in samples."""
    made_with: tuple[tuple[str, str], ...]
    """Names and values of the facts of how it was made."""


def read_tags(tape: Path) -> Tagged:
    """Read the tags of a tape, of either container. Raises InputError if it cannot be opened."""
    with opened(tape) as container:
        tags = {name: str(value) for name, value in container.metadata.items()}
        width = container.streams.video[0].width
    facts = {name: value for name, value in tags.items() if name.startswith(PREFIX)}
    # MP4 has the facts in its comment, one a line.
    for line in tags.get("comment", "").splitlines():
        name, _, value = line.partition("=")
        if name.startswith(PREFIX):
            facts[name] = value
    made_with = tuple((_words(name), value) for name, value in sorted(facts.items()))
    return Tagged(tags.get("title") or tape.stem, tags.get("date", ""), width, made_with)


def _words(name: str) -> str:
    return name.removeprefix(PREFIX).lower().replace("_", " ")
