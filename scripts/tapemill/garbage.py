"""How often Python looks for garbage while Snakemake plans.

A plan is some hundred thousand objects that stay to the end. With Python's own threshold, 700 new objects, the collector
walks through all there are again and again as they become more: a quarter of the time that a thousand scenes take.
"""

from __future__ import annotations

import gc
from typing import Final

NEW_OBJECTS: Final = 50_000
"""Some ten megabytes: garbage in cycles may take up so much more memory than before."""


def look_seldom() -> None:
    """Let the collector run after every 50,000 new objects in this process. Its generations keep their proportions."""
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, older, oldest)
