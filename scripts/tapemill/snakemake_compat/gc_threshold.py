"""Garbage collection of Python, too frequent for a plan of thousands of jobs (Snakemake 9.27.1, `make bench-resume`).

Upstream: docs/upstream/gc-threshold.md.
"""

from __future__ import annotations

import gc
from typing import Final

NEW_OBJECTS: Final = 50_000
"""Some ten megabytes: garbage in cycles may take up so much more memory than before."""


def raise_gc_threshold() -> None:
    """Let Python's collector run after every 50,000 new objects; its generations keep their proportions.

    A plan is some hundred thousand objects that stay. With Python's own threshold, 700, the collector walks through all
    there are again and again as they become more: a quarter of the time that planning a thousand scenes takes.
    """
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, older, oldest)
