"""Generated parts of the manual, and their insertion between markers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .reference import reference
from .rule_graph import rule_graph

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class GeneratedPart:
    """GeneratedPart of a Markdown file between two markers."""

    file: str
    name: str
    origin: str
    """Source that it is generated from, shown to editors of the file."""
    make: Callable[[], str]

    @property
    def begin(self) -> str:
        """Marker line before it."""
        return f"<!-- {self.name}: written by `make docs` from {self.origin}, do not edit -->"

    @property
    def end(self) -> str:
        """Marker line after it."""
        return f"<!-- end of {self.name} -->"

    def render(self, text: str) -> str:
        """Replace this part in the text of its file. Raises ValueError if a marker is missing."""
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not (begin and end):
            raise ValueError(f"{self.file} lacks the markers {self.begin!r} and {self.end!r}")
        return f"{before}{self.begin}\n\n{self.make()}\n\n{self.end}{after}"


def _graph() -> str:
    return f"```mermaid\n{rule_graph()}\n```"


PARTS: Final = (
    GeneratedPart("config/README.md", "reference", "config/schemas", reference),
    GeneratedPart("docs/architecture.md", "rule graph", "`snakemake --rulegraph mermaid-js`", _graph),
)


def update(part: GeneratedPart) -> None:
    """Write a generated part into its file."""
    file = ROOT / part.file
    file.write_text(part.render(file.read_text(encoding="utf-8")), encoding="utf-8")
