"""Where a page of a tape stands in the report, and what it says in a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import bounded
from ..errors import InputError


def entry(name: str, title: str) -> Mapping[str, Any]:
    """What Snakemake's `report` has to know of an output of draw_tape. Labels are asked for when it is put together."""

    def labels(wildcards: Any) -> dict[str, str]:
        headlines = Path(f"results/{wildcards.tape}/report/headlines.json")
        return {"page": title, "in short": headline(headlines, name)}

    return {
        "value": f"results/{{tape}}/report/{name}.html",
        "category": "Tapes",
        "subcategory": "{tape}",
        "labels": labels,
        "caption": f"report/{name}.rst",
    }


def headline(headlines: Path, page: str) -> str:
    """What a page says, from what `draw_tape` wrote: words of ours and numbers alone."""
    remedy = "delete it, and the workflow makes it anew"
    return str(bounded.read_json(headlines, error=InputError, remedy=remedy)[page])
